#include "convert/output_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace slm::convert {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kTemp = ".tmp";

// The names that a conversion gives.
bool IsOurName(const std::string& name) {
  constexpr const char* kNames[] = {
      kConfig,
      "generation_config.json",
      "tokenizer.json",
      "tokenizer_config.json",
      "special_tokens_map.json",
      "chat_template.jinja",
      "additional_chat_templates",
      "model.safetensors",
      "model.safetensors.index.json",
  };
  const bool is_shard = name.starts_with("model-") && name.ends_with(".safetensors");
  return is_shard || std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// Left over where a conversion was killed.
bool IsOurTemp(const std::string& name) {
  return name.ends_with(kTemp) && IsOurName(name.substr(0, name.size() - std::strlen(kTemp)));
}

bool IsOurConfig(const fs::path& path) {
  std::ifstream file(path);
  const auto config = nlohmann::json::parse(file, nullptr, false);
  return config.is_object() && config.contains(kMakerKey) && config[kMakerKey] == kMaker;
}

void CheckReplaceable(const std::string& path) {
  std::error_code problem;
  if (!fs::is_directory(path, problem))
    throw Error(Code::kUsage, "{}: exists and is not a folder; name a new one", path);
  fs::directory_iterator entries(path, problem);
  if (problem) throw Error(Code::kFailed, "{}: cannot read: {}", path, problem.message());
  bool has_result = false;
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (!IsOurName(name) && !IsOurTemp(name))
      throw Error(Code::kUsage,
                  "{}: the folder has a file that is not of a conversion, {}; name a new folder, "
                  "or an empty one",
                  path, name);
    has_result = has_result || IsOurName(name);
  }
  if (has_result && !IsOurConfig(fs::path(path) / kConfig))
    throw Error(Code::kUsage,
                "{}: the folder is not empty and slm did not make it; name a new folder, or an "
                "empty one",
                path);
}

}  // namespace

OutputFolder::OutputFolder(std::string path) : path_(std::move(path)) {
  std::error_code problem;
  if (fs::exists(path_, problem)) {
    CheckReplaceable(path_);
    return;
  }
  fs::create_directories(path_, problem);
  if (problem)
    throw Error(Code::kFailed, "{}: cannot make the folder: {}", path_, problem.message());
  is_new_ = true;
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  for (const std::string& name : names_) fs::remove(fs::path(path_) / (name + kTemp), ignored);
  // Only where it is empty: the system keeps any other.
  if (is_new_) fs::remove(path_, ignored);
}

void OutputFolder::WriteFile(const std::string& name, const std::string& content) {
  const fs::path path = fs::path(path_) / (name + kTemp);
  names_.push_back(name);
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "wb"), std::fclose);
  const bool is_written =
      file && std::fwrite(content.data(), 1, content.size(), file.get()) == content.size();
  if (!is_written || std::fclose(file.release()) != 0)
    throw Error(Code::kFailed, "{}: cannot write: {}", path.string(), std::strerror(errno));
}

void OutputFolder::RemoveOld() const {
  std::error_code problem;
  const auto remove = [&](const fs::path& path) {
    fs::remove_all(path, problem);
    if (problem)
      throw Error(Code::kFailed, "{}: cannot remove: {}", path.string(), problem.message());
  };
  remove(fs::path(path_) / kConfig);
  std::vector<fs::path> old;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_, problem)) {
    const std::string name = entry.path().filename().string();
    const bool is_folder = entry.is_directory(problem);  // of templates, maybe with new ones
    if (IsOurName(name) && !is_folder) old.push_back(entry.path());
  }
  for (const fs::path& path : old) remove(path);
}

void OutputFolder::Finish() {
  std::stable_partition(names_.begin(), names_.end(),
                        [](const std::string& name) { return name != kConfig; });
  while (!names_.empty()) {
    const fs::path path = fs::path(path_) / names_.front();
    std::error_code problem;
    fs::rename(path.string() + kTemp, path, problem);
    if (problem)
      throw Error(Code::kFailed, "{}{}: cannot rename: {}", path.string(), kTemp,
                  problem.message());
    names_.erase(names_.begin());
  }
  is_new_ = false;
}

}  // namespace slm::convert
