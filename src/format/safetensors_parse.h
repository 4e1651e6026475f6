// The parsers of a safetensors header and of the index of a sharded checkpoint; Safetensors joins
// the files.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/safetensors.h"

namespace slm::format {

// nullptr for a name that the format does not have.
const SafetensorsType* FindSafetensorsType(std::string_view name);

struct SafetensorsHeader {
  std::vector<SafetensorsTensor> tensors;  // in the order of the data
  SafetensorsMetadata metadata;
};

// Throws Error kBadInput; `path` is for messages.
SafetensorsHeader ParseSafetensors(const std::string& path, std::span<const uint8_t> bytes);

// Tensor name to shard, a plain file name, from the text of `*.safetensors.index.json`. Throws as
// ParseSafetensors does.
std::map<std::string, std::string> ParseSafetensorsIndex(const std::string& path,
                                                         std::string_view text);

}  // namespace slm::format
