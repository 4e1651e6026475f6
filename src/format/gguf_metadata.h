// The key-value part of a GGUF file. Values stay where they are in the file and are converted when
// asked for, so all views live as long as the bytes of the file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace slm::format {

enum class GgufValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

inline constexpr uint32_t kNumGgufValueTypes = 13;

const char* Name(GgufValueType type);

// Bytes of one item in a file; 0 for strings and arrays.
size_t ItemBytes(GgufValueType type);

// Every integer type arrives as one of the first two, by its signedness; both floats as double.
using GgufScalar = std::variant<uint64_t, int64_t, double, bool, std::string_view>;

struct GgufValue {
  bool is_array = false;
  GgufValueType type = GgufValueType::kUint8;  // of the scalar or of the items; never kArray
  uint64_t count = 0;                          // items; 1 for a scalar
  std::span<const uint8_t> bytes;  // the items as in the file; a string has its length before it

  // "uint32", "array of 3 string".
  std::string TypeText() const;

  // The first `most` items.
  std::vector<GgufScalar> Items(size_t most = SIZE_MAX) const;
};

class GgufMetadata {
 public:
  struct Entry {
    std::string_view key;
    GgufValue value;
  };

  GgufMetadata() = default;

  // The parser's way in. Throws kBadInput when two entries have the same key. `path` is for
  // messages.
  GgufMetadata(std::string path, std::vector<Entry> entries);

  // In the order of the file.
  const std::vector<Entry>& entries() const { return entries_; }

  const GgufValue* Find(std::string_view key) const;
  bool Has(std::string_view key) const { return Find(key) != nullptr; }

  // Find*: nothing when the key is missing. Get*: throws kBadInput then. Both throw kBadInput,
  // naming the key, what was expected and what is there, when the value has another type or does
  // not fit. Integers convert among all integer types; integers also convert to float.
  std::optional<uint64_t> FindUint(std::string_view key) const;
  std::optional<int64_t> FindInt(std::string_view key) const;
  std::optional<float> FindFloat(std::string_view key) const;
  std::optional<bool> FindBool(std::string_view key) const;
  std::optional<std::string_view> FindString(std::string_view key) const;
  std::optional<std::vector<int64_t>> FindInts(std::string_view key) const;
  std::optional<std::vector<float>> FindFloats(std::string_view key) const;
  std::optional<std::vector<bool>> FindBools(std::string_view key) const;
  std::optional<std::vector<std::string_view>> FindStrings(std::string_view key) const;

  uint64_t GetUint(std::string_view key) const;
  int64_t GetInt(std::string_view key) const;
  float GetFloat(std::string_view key) const;
  bool GetBool(std::string_view key) const;
  std::string_view GetString(std::string_view key) const;
  std::vector<int64_t> GetInts(std::string_view key) const;
  std::vector<float> GetFloats(std::string_view key) const;
  std::vector<bool> GetBools(std::string_view key) const;
  std::vector<std::string_view> GetStrings(std::string_view key) const;

 private:
  template <class T>
  std::optional<T> FindScalar(std::string_view key) const;
  template <class T>
  std::optional<std::vector<T>> FindArray(std::string_view key) const;
  template <class T>
  T OrMissing(std::optional<T> value, std::string_view key) const;

  std::string path_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> by_key_;  // indexes into entries_, sorted by key
};

}  // namespace slm::format
