// A JSON file of a checkpoint as a model's numbers, with messages that name the file and the key.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slm::convert {

class Config {
 public:
  // `json` must be an object. `path` is for messages, and so are `names`, what the file itself
  // calls a key.
  Config(std::string path, nlohmann::json json, std::map<std::string, std::string> names = {});

  // Throws Error: kFailed when the file cannot be opened, kBadInput when it is no JSON object.
  static Config Read(const std::string& path);

  const std::string& path() const { return path_; }
  const nlohmann::json& json() const { return json_; }

  // nullptr where the key is missing or null.
  const nlohmann::json* Find(std::string_view key) const;

  // Nothing where the key is missing or null; throws kBadInput where it has another type. An
  // integer is from 0 to 2^31 - 1, a float finite.
  std::optional<int64_t> FindInt(std::string_view key) const;
  std::optional<double> FindFloat(std::string_view key) const;
  std::optional<bool> FindBool(std::string_view key) const;
  std::optional<std::string> FindString(std::string_view key) const;
  std::optional<std::vector<double>> FindFloats(std::string_view key) const;
  // The object under a key.
  std::optional<Config> FindObject(std::string_view key) const;

  // Throw kBadInput where the key is missing, too.
  int64_t GetInt(std::string_view key) const;
  double GetFloat(std::string_view key) const;

  // Keys of `over` take the place of those here.
  void Merge(const nlohmann::json& over);
  // Only where a key is missing: null has a meaning of its own, none.
  void AddDefaults(const nlohmann::json& defaults);

  [[noreturn]] void Fail(std::string_view key, const std::string& problem) const;

 private:
  std::string path_;
  std::string prefix_;  // of keys, in messages: "text_config."
  nlohmann::json json_;
  std::map<std::string, std::string> names_;
};

// The whole of a file. Throws kFailed or kBadInput; files above 1 GB are refused.
std::string ReadWholeFile(const std::string& path);

}  // namespace slm::convert
