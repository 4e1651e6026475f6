#include "cli/training_base.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "cli/recipe_target.h"
#include "convert/convert.h"
#include "hub/settings.h"

namespace slm::cli {
namespace {

namespace fs = std::filesystem;

uint64_t HashOf(const std::string& text) {
  return Hash64({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

// Names, sizes and times of the files.
std::string StateOf(const fs::path& folder) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (const auto stamp = StampOf(entry.path()); stamp && entry.is_regular_file())
      files.push_back(fmt::format("{} {} {}\n", entry.path().filename().string(), stamp->bytes,
                                  stamp->modified_ns));
  std::sort(files.begin(), files.end());
  std::string state;
  for (const std::string& file : files) state += file;
  return state;
}

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
  const fs::path from = fs::canonical(folder);
  const fs::path cache = fs::path(hub::PackedFolder()).parent_path() / "bases";
  std::vector<compress::Fallback> fallbacks;
  const convert::GgufTarget target = FindTarget(type, &fallbacks);
  const std::string mine =
      fmt::format("{}-{:016x}-", from.filename().string(), HashOf(from.string() + "\n" + type));
  const fs::path path = cache / fmt::format("{}{:016x}.gguf", mine, HashOf(StateOf(from)));
  if (fs::exists(path)) return path;
  fs::create_directories(cache);
  for (const auto& entry : fs::directory_iterator(cache))
    if (entry.path().filename().string().starts_with(mine)) fs::remove(entry.path());
  std::fprintf(stderr, "slm: %s to %s, once: %s\n", folder.c_str(), type.c_str(), path.c_str());
  auto notices =
      convert::ConvertToGguf({.folder = folder, .output = path, .has_vocab = HasTokenizer(folder)},
                             target, pool, progress);
  for (std::string& line : compress::Describe(fallbacks)) notices.push_back(std::move(line));
  for (const std::string& notice : notices) std::fprintf(stderr, "slm: %s\n", notice.c_str());
  ReturnFreeMemory();
  return path;
}

}  // namespace slm::cli
