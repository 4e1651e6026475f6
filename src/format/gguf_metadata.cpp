#include "format/gguf_metadata.h"

#include <cfloat>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "format/byte_reader.h"
#include "format/name_index.h"

namespace slm::format {
namespace {

struct TypeInfo {
  const char* name;
  size_t bytes;
};

constexpr TypeInfo kTypeInfo[kNumGgufValueTypes] = {
    {"uint8", 1},  {"int8", 1},    {"uint16", 2},  {"int16", 2},  {"uint32", 4},
    {"int32", 4},  {"float32", 4}, {"bool", 1},    {"string", 0}, {"array", 0},
    {"uint64", 8}, {"int64", 8},   {"float64", 8},
};

std::string_view KeyOf(const GgufMetadata::Entry& entry) { return entry.key; }

template <class T>
T Load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// Steps through the items of a value; the parser has checked that they lie inside `bytes`.
class ItemCursor {
 public:
  explicit ItemCursor(const GgufValue& value) : type_(value.type), at_(value.bytes.data()) {}

  GgufScalar Next() {
    switch (type_) {
      case GgufValueType::kUint8:
        return uint64_t{Number<uint8_t>()};
      case GgufValueType::kInt8:
        return int64_t{Number<int8_t>()};
      case GgufValueType::kUint16:
        return uint64_t{Number<uint16_t>()};
      case GgufValueType::kInt16:
        return int64_t{Number<int16_t>()};
      case GgufValueType::kUint32:
        return uint64_t{Number<uint32_t>()};
      case GgufValueType::kInt32:
        return int64_t{Number<int32_t>()};
      case GgufValueType::kFloat32:
        return double{Number<float>()};
      case GgufValueType::kBool:
        return Number<uint8_t>() != 0;
      case GgufValueType::kString: {
        const auto length = static_cast<size_t>(Number<uint64_t>());
        const std::string_view text(reinterpret_cast<const char*>(at_), length);
        at_ += length;
        return text;
      }
      case GgufValueType::kUint64:
        return Number<uint64_t>();
      case GgufValueType::kInt64:
        return Number<int64_t>();
      case GgufValueType::kFloat64:
        return Number<double>();
      case GgufValueType::kArray:
        break;
    }
    SLM_CHECK(false);
    return {};
  }

 private:
  template <class T>
  T Number() {
    const T value = Load<T>(at_);
    at_ += sizeof(T);
    return value;
  }

  GgufValueType type_;
  const uint8_t* at_;
};

std::string Text(const GgufScalar& scalar) {
  if (const auto* text = std::get_if<std::string_view>(&scalar)) return Quoted(*text);
  return std::visit([](auto value) { return fmt::format("{}", value); }, scalar);
}

// What a getter wants: its name in messages and the conversion, which is empty when the value is
// of another kind or does not fit.
template <class T>
struct Wanted;

template <>
struct Wanted<uint64_t> {
  static constexpr const char* kName = "an unsigned integer";
  static std::optional<uint64_t> From(const GgufScalar& s) {
    if (const auto* u = std::get_if<uint64_t>(&s)) return *u;
    const auto* i = std::get_if<int64_t>(&s);
    if (i && *i >= 0) return static_cast<uint64_t>(*i);
    return std::nullopt;
  }
};

template <>
struct Wanted<int64_t> {
  static constexpr const char* kName = "an integer";
  static std::optional<int64_t> From(const GgufScalar& s) {
    if (const auto* i = std::get_if<int64_t>(&s)) return *i;
    const auto* u = std::get_if<uint64_t>(&s);
    if (u && *u <= uint64_t{INT64_MAX}) return static_cast<int64_t>(*u);
    return std::nullopt;
  }
};

template <>
struct Wanted<float> {
  static constexpr const char* kName = "a number in the range of float32";
  static std::optional<float> From(const GgufScalar& s) {
    if (const auto* u = std::get_if<uint64_t>(&s)) return static_cast<float>(*u);
    if (const auto* i = std::get_if<int64_t>(&s)) return static_cast<float>(*i);
    const auto* d = std::get_if<double>(&s);
    if (d && !(std::isfinite(*d) && std::fabs(*d) > FLT_MAX)) return static_cast<float>(*d);
    return std::nullopt;
  }
};

template <>
struct Wanted<bool> {
  static constexpr const char* kName = "a bool";
  static std::optional<bool> From(const GgufScalar& s) {
    const auto* b = std::get_if<bool>(&s);
    return b ? std::optional<bool>(*b) : std::nullopt;
  }
};

template <>
struct Wanted<std::string_view> {
  static constexpr const char* kName = "a string";
  static std::optional<std::string_view> From(const GgufScalar& s) {
    const auto* text = std::get_if<std::string_view>(&s);
    return text ? std::optional<std::string_view>(*text) : std::nullopt;
  }
};

}  // namespace

const char* Name(GgufValueType type) { return kTypeInfo[static_cast<uint32_t>(type)].name; }

size_t ItemBytes(GgufValueType type) { return kTypeInfo[static_cast<uint32_t>(type)].bytes; }

std::string GgufValue::TypeText() const {
  return is_array ? fmt::format("array of {} {}", count, Name(type)) : Name(type);
}

std::vector<GgufScalar> GgufValue::Items(size_t most) const {
  const size_t n = std::min(most, static_cast<size_t>(count));
  std::vector<GgufScalar> items;
  items.reserve(n);
  ItemCursor cursor(*this);
  for (size_t i = 0; i < n; ++i) items.push_back(cursor.Next());
  return items;
}

GgufMetadata::GgufMetadata(std::string path, std::vector<Entry> entries)
    : path_(std::move(path)), entries_(std::move(entries)), by_key_(SortByName(entries_, KeyOf)) {
  if (const auto twice = FindDuplicate(by_key_, entries_, KeyOf)) {
    throw Error(Code::kBadInput, "{}: key {}: expected once, got a duplicate (entry {})", path_,
                Quoted(entries_[*twice].key), *twice);
  }
}

const GgufValue* GgufMetadata::Find(std::string_view key) const {
  const Entry* entry = FindByName(by_key_, entries_, key, KeyOf);
  return entry ? &entry->value : nullptr;
}

template <class T>
std::optional<T> GgufMetadata::FindScalar(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (!value) return std::nullopt;
  if (value->is_array) {
    throw Error(Code::kBadInput, "{}: key {}: expected {}, got {}", path_, Quoted(key),
                Wanted<T>::kName, value->TypeText());
  }
  const GgufScalar scalar = ItemCursor(*value).Next();
  const std::optional<T> converted = Wanted<T>::From(scalar);
  if (!converted) {
    throw Error(Code::kBadInput, "{}: key {}: expected {}, got {} ({})", path_, Quoted(key),
                Wanted<T>::kName, Text(scalar), value->TypeText());
  }
  return converted;
}

template <class T>
std::optional<std::vector<T>> GgufMetadata::FindArray(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_array) {
    throw Error(Code::kBadInput, "{}: key {}: expected an array, each item {}, got {}", path_,
                Quoted(key), Wanted<T>::kName, value->TypeText());
  }
  std::vector<T> items;
  items.reserve(static_cast<size_t>(value->count));
  ItemCursor cursor(*value);
  for (uint64_t i = 0; i < value->count; ++i) {
    const GgufScalar scalar = cursor.Next();
    const std::optional<T> converted = Wanted<T>::From(scalar);
    if (!converted) {
      throw Error(Code::kBadInput, "{}: key {}: item {}: expected {}, got {} ({})", path_,
                  Quoted(key), i, Wanted<T>::kName, Text(scalar), value->TypeText());
    }
    items.push_back(*converted);
  }
  return items;
}

template <class T>
T GgufMetadata::OrMissing(std::optional<T> value, std::string_view key) const {
  if (!value) throw Error(Code::kBadInput, "{}: key {} is missing", path_, Quoted(key));
  return *std::move(value);
}

std::optional<uint64_t> GgufMetadata::FindUint(std::string_view key) const {
  return FindScalar<uint64_t>(key);
}
std::optional<int64_t> GgufMetadata::FindInt(std::string_view key) const {
  return FindScalar<int64_t>(key);
}
std::optional<float> GgufMetadata::FindFloat(std::string_view key) const {
  return FindScalar<float>(key);
}
std::optional<bool> GgufMetadata::FindBool(std::string_view key) const {
  return FindScalar<bool>(key);
}
std::optional<std::string_view> GgufMetadata::FindString(std::string_view key) const {
  return FindScalar<std::string_view>(key);
}
std::optional<std::vector<int64_t>> GgufMetadata::FindInts(std::string_view key) const {
  return FindArray<int64_t>(key);
}
std::optional<std::vector<float>> GgufMetadata::FindFloats(std::string_view key) const {
  return FindArray<float>(key);
}
std::optional<std::vector<bool>> GgufMetadata::FindBools(std::string_view key) const {
  return FindArray<bool>(key);
}
std::optional<std::vector<std::string_view>> GgufMetadata::FindStrings(std::string_view key) const {
  return FindArray<std::string_view>(key);
}

uint64_t GgufMetadata::GetUint(std::string_view key) const { return OrMissing(FindUint(key), key); }
int64_t GgufMetadata::GetInt(std::string_view key) const { return OrMissing(FindInt(key), key); }
float GgufMetadata::GetFloat(std::string_view key) const { return OrMissing(FindFloat(key), key); }
bool GgufMetadata::GetBool(std::string_view key) const { return OrMissing(FindBool(key), key); }
std::string_view GgufMetadata::GetString(std::string_view key) const {
  return OrMissing(FindString(key), key);
}
std::vector<int64_t> GgufMetadata::GetInts(std::string_view key) const {
  return OrMissing(FindInts(key), key);
}
std::vector<float> GgufMetadata::GetFloats(std::string_view key) const {
  return OrMissing(FindFloats(key), key);
}
std::vector<bool> GgufMetadata::GetBools(std::string_view key) const {
  return OrMissing(FindBools(key), key);
}
std::vector<std::string_view> GgufMetadata::GetStrings(std::string_view key) const {
  return OrMissing(FindStrings(key), key);
}

}  // namespace slm::format
