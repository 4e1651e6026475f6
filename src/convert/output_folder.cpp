#include "convert/output_folder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"

namespace slm::convert {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kTemplates = "additional_chat_templates";

// The names that a conversion gives.
bool IsOurName(const std::string& name) {
  constexpr const char* kNames[] = {
      kConfig,
      "generation_config.json",
      "tokenizer.json",
      "tokenizer_config.json",
      "special_tokens_map.json",
      "chat_template.jinja",
      kTemplates,
      "model.safetensors",
      "model.safetensors.index.json",
  };
  const bool is_shard = name.starts_with("model-") && name.ends_with(".safetensors");
  return is_shard || std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// ResultFile's "<name>.<process>.tmp", left over where a conversion was killed.
bool IsOurTemp(std::string name) {
  if (!name.ends_with(".tmp")) return false;
  name.resize(name.rfind('.'));
  const size_t end = name.find_last_not_of("0123456789.");
  return end != std::string::npos && IsOurName(name.substr(0, end + 1));
}

// A file or folder that a conversion makes.
bool IsOurs(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  if (!IsOurName(name) && !IsOurTemp(name)) return false;
  std::error_code problem;
  if (!entry.is_directory(problem)) return name != kTemplates;
  if (name != kTemplates) return false;
  fs::directory_iterator templates(entry.path(), problem);
  return !problem && std::all_of(begin(templates), end(templates), [](const auto& file) {
    const fs::path ending = file.path().extension();
    return file.is_regular_file() && (ending == ".jinja" || ending == ".tmp");
  });
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
    if (!IsOurs(entry))
      throw Error(Code::kUsage,
                  "{}: the folder has what is not of a conversion, {}; name a new folder, or an "
                  "empty one",
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
  files_.clear();
  // Only where it is empty: the system keeps any other.
  std::error_code ignored;
  fs::remove(fs::path(path_) / kTemplates, ignored);
  if (is_new_) fs::remove(path_, ignored);
}

void OutputFolder::WriteFile(const std::string& name, const std::string& content) {
  const fs::path path = fs::path(path_) / name;
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  ResultFile& file = files_.emplace_back(path);
  file.Write(content.data(), content.size());
  file.Complete();
}

void OutputFolder::RemoveOld() const {
  std::error_code problem;
  const auto remove = [&](const fs::path& path) {
    fs::remove(path, problem);
    if (problem)
      throw Error(Code::kFailed, "{}: cannot remove: {}", path.string(), problem.message());
  };
  remove(fs::path(path_) / kConfig);
  std::vector<fs::path> old;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_, problem))
    if (IsOurName(entry.path().filename().string()) && !entry.is_directory(problem))
      old.push_back(entry.path());
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(path_) / kTemplates, problem))
    if (entry.path().extension() == ".jinja") old.push_back(entry.path());
  for (const fs::path& path : old) remove(path);
}

void OutputFolder::Finish() {
  const auto config = std::find_if(files_.begin(), files_.end(), [](const ResultFile& file) {
    return fs::path(file.path()).filename() == kConfig;
  });
  for (auto file = files_.begin(); file != files_.end(); ++file)
    if (file != config) file->Finish();
  if (config != files_.end()) config->Finish();
  is_new_ = false;
}

}  // namespace slm::convert
