// The folder where packed weights are kept: one file a model, the least recently used ones go when
// there is no room.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "format/packed_file.h"

namespace slm::model {

inline constexpr uint64_t kDefaultPackedBudget = 64'000'000'000;

struct PackedEntry {
  std::string path;
  std::string model;  // the path of the model's first part; empty when the file cannot be read
  uint64_t bytes = 0;
  int64_t used_ns = 0;    // when it was last opened, Unix time
  bool is_stale = false;  // nothing will read it: the model is gone or has changed, an old layout
};

class PackedStore {
 public:
  PackedStore(std::string folder, uint64_t budget_bytes)
      : folder_(std::move(folder)), budget_bytes_(budget_bytes) {}

  const std::string& folder() const { return folder_; }

  // Where the weights of a model are, or will be.
  std::string PathFor(const format::PackedHeader& header) const;

  // Makes the folder, and room in it for `bytes` more: within the budget, and leaving a tenth of
  // the disk free, 4 GB at most. Throws kFailed when there is not enough, having removed nothing if
  // that was known.
  void MakeRoom(uint64_t bytes) const;

  // For the order in which files go.
  static void Touch(const std::string& path);

  // In the order in which they go: stale ones, then the least recently used. Empty when there is no
  // such folder.
  std::vector<PackedEntry> List() const;

  // Removes stale files and what interrupted writers left.
  struct Pruned {
    std::vector<std::string> paths;
    uint64_t freed_bytes = 0;
  };
  Pruned Prune() const;

 private:
  std::string folder_;
  uint64_t budget_bytes_;
};

}  // namespace slm::model
