// The head of a GGUF file of version 3 that is to be written: metadata, and which tensors follow.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "format/gguf.h"

namespace slm::format {

// The type of a C++ number in a file.
template <class T>
constexpr GgufValueType GgufValueTypeOf() {
  if constexpr (std::is_same_v<T, bool>) return GgufValueType::kBool;
  if constexpr (std::is_same_v<T, float>) return GgufValueType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return GgufValueType::kFloat64;
  if constexpr (std::is_same_v<T, uint8_t>) return GgufValueType::kUint8;
  if constexpr (std::is_same_v<T, int8_t>) return GgufValueType::kInt8;
  if constexpr (std::is_same_v<T, uint16_t>) return GgufValueType::kUint16;
  if constexpr (std::is_same_v<T, int16_t>) return GgufValueType::kInt16;
  if constexpr (std::is_same_v<T, uint32_t>) return GgufValueType::kUint32;
  if constexpr (std::is_same_v<T, int32_t>) return GgufValueType::kInt32;
  if constexpr (std::is_same_v<T, uint64_t>) return GgufValueType::kUint64;
  if constexpr (std::is_same_v<T, int64_t>) return GgufValueType::kInt64;
  return GgufValueType::kArray;  // not a number of the format
}

template <class T>
concept GgufNumber = GgufValueTypeOf<T>()
!= GgufValueType::kArray;

class GgufHeader {
 public:
  // `path` is for messages. `alignment` is a power of two, at least 8; general.alignment is written
  // when it is not the default.
  explicit GgufHeader(std::string path, uint32_t alignment = kDefaultAlignment);

  // A key that is set again keeps its place and takes the new value. The C++ type decides the type
  // in the file, so name it: Set<uint32_t>("llama.block_count", 12).
  template <GgufNumber T>
  void Set(std::string_view key, T value) {
    SetRaw(key, GgufValueTypeOf<T>(), false, 1, AsBytes(std::span<const T>(&value, 1)));
  }
  template <GgufNumber T>
  void SetArray(std::string_view key, std::span<const T> items) {
    SetRaw(key, GgufValueTypeOf<T>(), true, items.size(), AsBytes(items));
  }
  void SetString(std::string_view key, std::string_view text);
  void SetStrings(std::string_view key, std::span<const std::string_view> items);
  void SetStrings(std::string_view key, std::span<const std::string> items);

  // A value as another file has it. general.alignment is left out: it is the writer's own.
  void Copy(std::string_view key, const GgufValue& value);
  void CopyAll(const GgufMetadata& metadata);
  void Remove(std::string_view key);

  // `dims` in GGML's order, see GgufTensor. Throws kBadInput for a name or shape that the format
  // cannot hold.
  void Declare(const std::string& name, quant::Type type, std::span<const int64_t> dims);

  struct Tensor {
    std::string name;
    quant::Type type;
    std::vector<int64_t> dims;
    uint64_t offset;  // from the start of the data
    uint64_t bytes;
  };
  const std::string& path() const { return path_; }
  uint64_t alignment() const { return alignment_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }

  // As in the file, without the padding that data follows. From now on nothing can be set.
  std::string Close();

 private:
  struct Entry {
    std::string key;
    std::string bytes;  // the type and the value, as in the file
  };

  template <class T>
  static std::string_view AsBytes(std::span<const T> items) {
    return {reinterpret_cast<const char*>(items.data()), items.size_bytes()};
  }
  void SetRaw(std::string_view key, GgufValueType type, bool is_array, uint64_t count,
              std::string_view items);

  std::string path_;
  uint64_t alignment_;
  std::vector<Entry> entries_;
  std::vector<Tensor> tensors_;
  std::set<std::string> names_;  // of the tensors
  uint64_t data_bytes_ = 0;      // declared so far, padding included
  bool is_closed_ = false;
};

}  // namespace slm::format
