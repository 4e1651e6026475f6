// Adapters that are in the weights of a file already, which says so, that none counts twice.
#pragma once

#include <string>
#include <vector>

#include "format/gguf.h"
#include "model/lora.h"

namespace slm::model {

inline constexpr const char* kMergedLorasKey = "slm.merged_loras";

// Of the numbers that an adapter adds, whichever form its file has.
std::string DigestOf(const Lora& lora);

// The digests that the key has; none where it is missing.
std::vector<std::string> MergedLoras(const format::GgufMetadata& metadata);

// Throws kBadInput when the adapter is in the weights of `base`.
void CheckNotMerged(const Lora& lora, const format::GgufFile& base);

}  // namespace slm::model
