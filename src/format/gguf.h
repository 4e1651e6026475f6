// Reads GGUF, versions 2 and 3, little-endian, whole or in parts. The files stay mapped; tensors
// are views of them. Everything the directory says is checked against the size of the file at
// opening, so a GgufFile that exists can be walked without further checks.
//
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A GgufFile is const after
// opening and may be shared by threads.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "format/gguf_metadata.h"
#include "quant/type.h"

namespace slm::format {

inline constexpr int kMaxDims = 4;
inline constexpr uint32_t kDefaultAlignment = 32;
inline constexpr uint32_t kMinAlignment = 8;
inline constexpr size_t kMaxKeyBytes = 65535;  // this and the next are the format's own limits
inline constexpr size_t kMaxTensorNameBytes = 64;

struct GgufTensor {
  std::string name;
  quant::Type type = quant::Type::kF32;
  int num_dims = 0;
  // GGML's order: dims[0] is the contiguous one, a row; a weight matrix [out, in] has dims
  // {in, out}. Each is at least 1; those from num_dims on are 1. dims[0] is a multiple of the
  // type's block size.
  std::array<int64_t, kMaxDims> dims = {1, 1, 1, 1};
  int64_t elements = 1;
  std::span<const uint8_t> data;  // its start is a multiple of 8 bytes into the mapping
  size_t offset = 0;              // of `data` in its part's file
  int part = 0;

  size_t bytes() const { return data.size(); }
  size_t row_bytes() const { return data.size() / static_cast<size_t>(elements / dims[0]); }
};

class GgufFile {
 public:
  // Opens a file, or all parts of a split model given the first. Throws Error: kFailed when a file
  // cannot be opened, kBadInput when one is malformed, of another version or not the first part,
  // kUnsupported for tensor types of GGML that slm does not compute with.
  static GgufFile Open(const std::string& path);

  // One unsplit file in memory, which must outlive the result. Throws as Open does.
  static GgufFile Parse(std::span<const uint8_t> bytes);

  // This file with other tensors in the place of its own, in memory. Neither it nor their data are
  // copied. Throws kBadInput for a name that is there twice.
  GgufFile WithTensors(std::vector<GgufTensor> tensors) const;

  const std::string& path() const { return path_; }
  uint32_t version() const { return version_; }
  uint32_t alignment() const { return alignment_; }  // of the tensor data, bytes
  size_t file_bytes() const { return file_bytes_; }  // all parts
  int num_parts() const { return num_parts_; }

  // Metadata and directories of all parts.
  const std::vector<std::span<const uint8_t>>& headers() const { return headers_; }
  // The parts; none for a file in memory.
  const std::vector<MappedFile>& maps() const { return maps_; }

  // Of the first part.
  const GgufMetadata& metadata() const { return metadata_; }

  // Of all parts, in the order of the files. No two have the same name or share bytes.
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* Find(std::string_view name) const;

  // Throws kBadInput naming the tensor when it is missing.
  const GgufTensor& Get(std::string_view name) const;

  // Whether `path` is the file or one of its parts, under whatever name.
  bool Reads(const std::string& path) const;

  // Copies a part of a tensor's data without making it resident. Throws as MappedFile::Read does.
  void Read(const GgufTensor& tensor, std::span<const uint8_t> part, uint8_t* to) const;

  // Gives the tensor's pages back to the system; they are read from the file again on next use.
  void Release(const GgufTensor& tensor) const { Release(tensor, tensor.data); }
  void Release(const GgufTensor& tensor, std::span<const uint8_t> part) const;  // of its data

 private:
  GgufFile() = default;
  void AddPart(const std::string& path, std::span<const uint8_t> bytes);
  void OpenOtherParts();
  void BuildIndex();

  std::string path_;
  uint32_t version_ = 0;
  uint32_t alignment_ = kDefaultAlignment;
  size_t file_bytes_ = 0;
  int num_parts_ = 0;
  GgufMetadata metadata_;
  std::vector<GgufTensor> tensors_;
  std::vector<uint32_t> by_name_;
  std::vector<std::span<const uint8_t>> headers_;
  std::vector<MappedFile> maps_;  // empty for a file in memory
};

}  // namespace slm::format
