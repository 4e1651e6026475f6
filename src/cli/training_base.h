// A checkpoint folder as the base of a training: a GGUF file that is made once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace slm {
class Progress;
class ThreadPool;
}  // namespace slm

namespace slm::cli {

// Whether `path` is a folder of Hugging Face.
bool IsCheckpoint(const std::string& path);

// Its weights as `type` says, a name of slm quantize or nf4, in a file of the cache: the one that
// was made before, where the folder is as it was then, else a new one in its place. Says on stderr
// what is done. Throws as convert::ConvertToGguf and compress::FindRecipe do, kUsage without a
// home.
std::string TrainingBase(const std::string& folder, const std::string& type, ThreadPool* pool,
                         Progress* progress);

// A file of the cache that TrainingBase made.
struct BaseEntry {
  std::string path;
  std::string folder = "", type = "";  // what it is of; empty when that is not known
  uint64_t bytes = 0;
  int64_t last_used_s = 0;  // Unix time
  bool is_stale = false;    // nothing will read it: the folder is gone or has changed
};

// By their paths. Throws kUsage without a home.
std::vector<BaseEntry> ListTrainingBases();

// Throws kFailed when it cannot be removed.
void RemoveTrainingBase(const BaseEntry& base);

}  // namespace slm::cli
