// Writes tensors in safetensors: <stem>.safetensors, or <stem>-00001-of-0000N.safetensors and their
// index where they are larger than a file should be. Declare the tensors first, then append their
// data in the order of declaration, in pieces of any size: a model need not be in memory. The files
// are ResultFiles: they appear under their names only when all are complete.
//
// Format: https://github.com/huggingface/safetensors. As the reference writer does, the header is
// padded with spaces to a multiple of 8 bytes and wider elements come first, so that every tensor
// is aligned to its elements; the index is that of transformers.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result_file.h"
#include "format/safetensors.h"

namespace slm::format {

inline constexpr uint64_t kMaxShardBytes = 5'000'000'000;

class SafetensorsWriter {
 public:
  // Into `folder`, which is there already. A file takes tensors up to `max_shard_bytes`, at least
  // one.
  explicit SafetensorsWriter(std::string folder, uint64_t max_shard_bytes = kMaxShardBytes,
                             std::string stem = "model");

  // A text beside the tensors, in every file. Before the first Append.
  void SetMetadata(const std::string& key, const std::string& text);

  // `type` is spelled as in a header: "BF16". `shape` is in the order of PyTorch: the last
  // dimension is contiguous. Throws kBadInput for a duplicate name or a shape that the format
  // cannot hold.
  void Declare(const std::string& name, std::string_view type, std::span<const int64_t> shape);

  // The next bytes of the data, all of one tensor; the first call closes declarations. Throws
  // kFailed when a file cannot be created or the disk is full.
  void Append(std::span<const uint8_t> data);

  // Every declared tensor must be complete. All bytes are on the disk then, under temporary names.
  // Throws kFailed.
  void Complete();

  // Completes the files and gives them their names. Throws kFailed.
  void Finish();

  uint64_t data_bytes() const { return data_bytes_; }  // declared so far

 private:
  struct Tensor {
    std::string name;
    std::string type;
    uint64_t element_bytes;
    std::vector<int64_t> shape;
    uint64_t bytes;
    uint64_t offset = 0;  // from the start of its file's data
  };
  struct Shard {
    size_t first, last;  // tensors [first, last)
    std::string name;
  };

  void MakeShards();
  std::string Header(const Shard& shard);  // places the tensors
  std::string Index() const;
  void OpenNext();
  void SkipEmpty();

  std::string folder_;
  uint64_t max_shard_bytes_;
  std::string stem_;
  // PyTorch's loaders ask for the first.
  SafetensorsMetadata metadata_ = {{"format", "pt"}};
  std::vector<Tensor> tensors_;
  std::set<std::string> names_;
  uint64_t data_bytes_ = 0;

  std::vector<Shard> shards_;     // empty until the first Append
  std::deque<ResultFile> files_;  // of the shards so far, then the index
  uint64_t header_bytes_ = 0;     // of the last one
  size_t current_ = 0;            // the tensor whose data comes next
  uint64_t current_written_ = 0;
  bool is_complete_ = false;
};

}  // namespace slm::format
