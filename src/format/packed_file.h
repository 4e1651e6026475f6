// The head of a file of packed weights: what `slm` keeps so that it packs a model's matrices once
// and maps them from then on (docs/internals.md, Packed weights). Behind it lie the panels of each
// matrix (quant/packed.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "quant/type.h"

namespace slm::format {

inline constexpr const char* kPackedExtension = ".panels";

struct PackedMatrix {
  std::string tensor;      // of the model's file
  uint64_t first_row = 0;  // of the tensor's
  uint64_t rows = 0, k = 0;
  quant::Type type = quant::Type::kF32;
  uint64_t offset = 0, bytes = 0;  // of the panels in this file
  bool operator==(const PackedMatrix&) const = default;
};

// A file of the model that was packed.
struct PackedSource {
  std::string path;
  FileStamp stamp;
  bool operator==(const PackedSource&) const = default;
};

struct PackedHeader {
  std::string layout;  // kernels::KernelTable::layout
  uint32_t layout_version = 0;
  std::vector<PackedSource> sources;  // the parts of the model; at least one
  uint64_t source_hash = 0;           // of their metadata and directories
  std::vector<PackedMatrix> matrices;
  uint64_t file_bytes = 0;  // of all of this file
  bool operator==(const PackedHeader&) const = default;
};

std::string WritePackedHeader(const PackedHeader& header);

// Reads it from the start of a file's bytes. Every matrix lies behind the header and inside
// file_bytes, which may differ from what the file really has. Throws kBadInput for what is no such
// header, is cut off, or has a bit that is not as it was written.
PackedHeader ReadPackedHeader(const std::string& path, std::span<const uint8_t> bytes);

}  // namespace slm::format
