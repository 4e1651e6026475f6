// `slm models`: what the local store holds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hub/settings.h"

namespace slm::hub {

struct ModelEntry {
  std::string name;                // what Resolve() and Remove() know it by, e.g. user/repo:Q4_K_M
  std::string source;              // hf:user/repo, a URL, or file:///path
  std::string file;                // name inside the source; part 1 of a split
  std::string path;                // of that file
  std::vector<std::string> paths;  // of all parts there
  std::string quant;               // from the file name, or empty
  std::string revision;            // the commit; empty for local files
  bool is_current = true;          // false: a branch has moved on from this commit
  bool is_complete = true;         // false: parts of a split, or a local file, are missing
  uint64_t bytes = 0;
  int64_t last_used_s = 0;  // Unix time
};

// GGUF and safetensors files, sorted by name. An empty list when there is no cache.
std::vector<ModelEntry> ListModels(const Settings& settings);

// The path for `name`: an existing path, file://..., a hub source or URL that was pulled before, or
// a name of ListModels or an unambiguous short form of it (file name, repository, last part of
// either). Throws Error kUsage with the candidates when it is ambiguous, kFailed with the nearest
// names when there is no such file or model.
std::string ResolveModel(const std::string& name, const Settings& settings);

struct RemoveResult {
  std::vector<std::string> removed;  // paths
  uint64_t freed_bytes = 0;
};

// Removes the entry's links, the blobs that no other snapshot uses, and folders that became empty.
// Of a local file only the registration goes. Throws Error as ResolveModel does; kFailed when a
// file is being downloaded or cannot be removed.
RemoveResult RemoveModel(const std::string& name, const Settings& settings);

}  // namespace slm::hub
