#include "cli/training_base.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "base/result_file.h"
#include "cli/options.h"
#include "cli/recipe_target.h"
#include "convert/convert.h"
#include "hub/settings.h"
#include "model/packed_store.h"

namespace slm::cli {
namespace {

namespace fs = std::filesystem;

uint64_t HashOf(const std::string& text) {
  return Hash64({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

// Names, sizes and times of the files; nothing when the folder is gone.
std::string StateOf(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(folder, gone))
    if (const auto stamp = StampOf(entry.path()); stamp && entry.is_regular_file())
      files.push_back(fmt::format("{} {} {}\n", entry.path().filename().string(), stamp->bytes,
                                  stamp->modified_ns));
  std::sort(files.begin(), files.end());
  return fmt::format("{}", fmt::join(files, ""));
}

fs::path BasesFolder() { return fs::path(hub::PackedFolder()).parent_path() / "bases"; }

// What all bases of a folder begin with, whatever state it was in.
std::string PrefixOf(const fs::path& folder, const std::string& type) {
  return fmt::format("{}-{:016x}-", folder.filename().string(),
                     HashOf(folder.string() + "\n" + type));
}

fs::path PathOf(const fs::path& folder, const std::string& type) {
  return BasesFolder() /
         fmt::format("{}{:016x}.gguf", PrefixOf(folder, type), HashOf(StateOf(folder)));
}

// Beside the base, whose own metadata go into whatever is made of it: its type and, in the second
// line, its folder. Written last, so that a base that has one is whole; its time is that of the
// last use.
fs::path OriginOf(fs::path base) { return base.replace_extension(".origin"); }

// Token ids can be trained on without one.
bool HasTokenizer(const fs::path& folder) {
  for (const char* name : {"tokenizer.json", "tokenizer.model", "tekken.json"})
    if (fs::exists(folder / name)) return true;
  return false;
}

}  // namespace

bool IsCheckpoint(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(fs::path(path) / "config.json", ignored);
}

std::string TrainingBase(const std::string& folder, const std::string& type, ThreadPool* pool,
                         Progress* progress) {
  const fs::path from = fs::canonical(folder), path = PathOf(from, type), origin = OriginOf(path);
  std::vector<compress::Fallback> fallbacks;
  const convert::GgufTarget target = FindTarget(type, &fallbacks);
  if (fs::exists(path) && fs::exists(origin)) {
    model::PackedStore::Touch(origin);
    return path;
  }
  fs::create_directories(path.parent_path());
  std::fprintf(stderr, "slm: %s to %s, once: %s\n", folder.c_str(), type.c_str(), path.c_str());
  auto notices =
      convert::ConvertToGguf({.folder = folder, .output = path, .has_vocab = HasTokenizer(folder)},
                             target, pool, progress);
  for (std::string& line : compress::Describe(fallbacks)) notices.push_back(std::move(line));
  for (const std::string& notice : notices) std::fprintf(stderr, "slm: %s\n", notice.c_str());
  ResultFile file(origin);
  const std::string text = type + "\n" + from.string();
  file.Write(text.data(), text.size());
  file.Finish();
  // Of other states. What another process makes of the same one is not gone.
  for (const auto& entry : fs::directory_iterator(path.parent_path())) {
    const std::string name = entry.path().filename(), kind = entry.path().extension();
    if ((kind == ".gguf" || kind == ".origin") && name.starts_with(PrefixOf(from, type)) &&
        !name.starts_with(path.stem().string()))
      fs::remove(entry.path());
  }
  ReturnFreeMemory();
  return path;
}

std::vector<BaseEntry> ListTrainingBases() {
  std::vector<BaseEntry> bases;
  std::error_code none;
  for (const auto& file : fs::directory_iterator(BasesFolder(), none)) {
    if (file.path().extension() != ".gguf" || !file.is_regular_file(none)) continue;
    BaseEntry base = {.path = file.path(), .bytes = file.file_size(), .is_stale = true};
    if (const auto used = StampOf(OriginOf(file.path()))) {
      const std::string text = ReadTextFile(OriginOf(file.path()));
      const size_t line = text.find('\n');
      base.type = text.substr(0, line);
      base.folder = text.substr(line + 1);
      base.last_used_s = used->modified_ns / 1'000'000'000;
      base.is_stale = PathOf(base.folder, base.type) != file.path();
    }
    bases.push_back(std::move(base));
  }
  std::sort(bases.begin(), bases.end(),
            [](const BaseEntry& a, const BaseEntry& b) { return a.path < b.path; });
  return bases;
}

void RemoveTrainingBase(const BaseEntry& base) {
  std::error_code problem;
  for (const fs::path& path : {OriginOf(base.path), fs::path(base.path)}) {
    fs::remove(path, problem);
    if (problem)
      throw Error(Code::kFailed, "{}: cannot remove: {}", path.string(), problem.message());
  }
}

}  // namespace slm::cli
