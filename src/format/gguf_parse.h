// The parser of one GGUF file; GgufFile joins the parts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "format/gguf.h"

namespace slm::format {

struct GgufPart {
  uint32_t version = 0;
  uint32_t alignment = kDefaultAlignment;
  size_t header_bytes = 0;  // metadata and directory
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;
};

// Throws Error as GgufFile::Open does; `path` is for messages.
GgufPart ParseGgufPart(const std::string& path, std::span<const uint8_t> bytes);

}  // namespace slm::format
