#include "convert/config.h"

#include <cmath>

#include "base/error.h"
#include "base/mapped_file.h"
#include "text/json.h"

namespace slm::convert {
namespace {

constexpr size_t kMaxFileBytes = 1'000'000'000;

}  // namespace

std::string ReadWholeFile(const std::string& path) {
  const MappedFile file(path);
  if (file.bytes().size() > kMaxFileBytes)
    throw Error(Code::kBadInput, "{}: expected at most {} bytes, got {}", path, kMaxFileBytes,
                file.bytes().size());
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

Config::Config(std::string path, nlohmann::json json, std::map<std::string, std::string> names)
    : path_(std::move(path)), json_(std::move(json)), names_(std::move(names)) {
  if (!json_.is_object())
    throw Error(Code::kBadInput, "{}: expected a JSON object, got {}", path_, json_.type_name());
}

Config Config::Read(const std::string& path) {
  return Config(path, text::ParseSortedJson(ReadWholeFile(path), path));
}

const nlohmann::json* Config::Find(std::string_view key) const {
  const auto at = json_.find(std::string(key));
  return at == json_.end() || at->is_null() ? nullptr : &*at;
}

void Config::Fail(std::string_view key, const std::string& problem) const {
  const auto name = names_.find(std::string(key));
  throw Error(Code::kBadInput, "{}: {}{}: {}", path_, prefix_,
              name == names_.end() ? key : name->second, problem);
}

std::optional<int64_t> Config::FindInt(std::string_view key) const {
  const nlohmann::json* value = Find(key);
  if (!value) return std::nullopt;
  // Some write 8192.0.
  const bool is_whole = value->is_number_integer() ||
                        (value->is_number_float() && std::fabs(value->get<double>()) < 0x1p31 &&
                         value->get<double>() == std::floor(value->get<double>()));
  if (!is_whole) Fail(key, fmt::format("expected an integer, got {}", value->type_name()));
  // As double: an integer beyond int64 converts without a trap.
  const auto number = value->get<double>();
  if (number < 0 || number > INT32_MAX)
    Fail(key, fmt::format("expected 0 to {}, got {}", INT32_MAX, number));
  return static_cast<int64_t>(number);
}

std::optional<double> Config::FindFloat(std::string_view key) const {
  const nlohmann::json* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_number()) Fail(key, fmt::format("expected a number, got {}", value->type_name()));
  if (!std::isfinite(value->get<double>())) Fail(key, "expected a finite number");
  return value->get<double>();
}

std::optional<bool> Config::FindBool(std::string_view key) const {
  const nlohmann::json* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_boolean())
    Fail(key, fmt::format("expected true or false, got {}", value->type_name()));
  return value->get<bool>();
}

std::optional<std::string> Config::FindString(std::string_view key) const {
  const nlohmann::json* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_string()) Fail(key, fmt::format("expected text, got {}", value->type_name()));
  return value->get<std::string>();
}

std::optional<std::vector<double>> Config::FindFloats(std::string_view key) const {
  const nlohmann::json* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_array()) Fail(key, fmt::format("expected a list, got {}", value->type_name()));
  std::vector<double> numbers;
  for (const nlohmann::json& item : *value) {
    if (!item.is_number() || !std::isfinite(item.get<double>()))
      Fail(key, fmt::format("expected finite numbers, got {}", item.type_name()));
    numbers.push_back(item.get<double>());
  }
  return numbers;
}

std::optional<Config> Config::FindObject(std::string_view key) const {
  const nlohmann::json* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_object()) Fail(key, fmt::format("expected an object, got {}", value->type_name()));
  Config object(path_, *value);
  object.prefix_ = prefix_ + std::string(key) + ".";
  return object;
}

int64_t Config::GetInt(std::string_view key) const {
  const auto value = FindInt(key);
  if (!value) Fail(key, "missing");
  return *value;
}

double Config::GetFloat(std::string_view key) const {
  const auto value = FindFloat(key);
  if (!value) Fail(key, "missing");
  return *value;
}

void Config::AddDefaults(const nlohmann::json& defaults) {
  json_.insert(defaults.begin(), defaults.end());
}

void Config::Merge(const nlohmann::json& over) {
  for (const auto& [key, value] : over.items()) json_[key] = value;
}

}  // namespace slm::convert
