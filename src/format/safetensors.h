// Reads safetensors, whole or in shards. The files stay mapped; tensors are views of them. All that
// a header says is checked against the size of its file at opening, so a Safetensors that exists
// can be walked without further checks.
//
// Format: https://github.com/huggingface/safetensors#format: 8 bytes of length, a JSON header, then
// the data, in which every byte belongs to one tensor. A Safetensors is const after opening and may
// be shared by threads.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"

namespace slm::format {

struct SafetensorsType {
  const char* name;  // as in the header: "BF16"
  int bits;          // of an element

  // `n` elements to float, exactly; src of any alignment. nullptr for the types that hold no
  // weights that slm converts.
  void (*decode)(const uint8_t* src, float* dst, int64_t n);
};

struct SafetensorsTensor {
  std::string name;
  const SafetensorsType* type = nullptr;
  std::vector<int64_t> shape;     // outermost first, [out, in] for a weight matrix; empty: a scalar
  int64_t elements = 1;           // 0 when a dimension is 0
  std::span<const uint8_t> data;  // rows one after the other
  int shard = 0;                  // of shard_paths()

  size_t bytes() const { return data.size(); }
};

// The texts that a file has beside its tensors.
using SafetensorsMetadata = std::map<std::string, std::string, std::less<>>;

class Safetensors {
 public:
  // One file. Throws Error: kFailed when it cannot be opened, kBadInput when it is malformed.
  static Safetensors Open(const std::string& path);

  // `<stem>.safetensors` of a folder, or the shards that `<stem>.safetensors.index.json` lists, or
  // without an index those named `<stem>-00001-of-00003.safetensors`. Throws as Open does, and
  // kBadInput when the shards and the index do not name the same tensors, or two models are there.
  static Safetensors OpenFolder(const std::string& folder, std::string_view stem = "model");

  // One file in memory, which must outlive the result. Throws as Open does.
  static Safetensors Parse(std::span<const uint8_t> bytes);

  // Of all shards, in the order of the data. No two have the same name or share bytes.
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }
  const SafetensorsTensor* Find(std::string_view name) const;

  const SafetensorsMetadata& metadata() const { return metadata_; }  // of the first shard
  const std::vector<std::string>& shard_paths() const { return paths_; }
  const std::string& PathOf(const SafetensorsTensor& tensor) const {
    return paths_[static_cast<size_t>(tensor.shard)];
  }
  size_t file_bytes() const { return file_bytes_; }  // all shards

  // Gives the pages wholly inside `part` of a tensor's data back to the system.
  void Release(const SafetensorsTensor& tensor, std::span<const uint8_t> part) const;

 private:
  Safetensors() = default;
  void Add(const std::string& path, std::span<const uint8_t> bytes);
  void AddFile(const std::string& path);
  void BuildIndex();

  std::vector<std::string> paths_;
  std::vector<SafetensorsTensor> tensors_;
  SafetensorsMetadata metadata_;
  std::vector<uint32_t> by_name_;
  std::vector<MappedFile> maps_;  // empty for a file in memory
  size_t file_bytes_ = 0;
};

}  // namespace slm::format
