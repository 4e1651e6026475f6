// Writes an adapter as llama.cpp reads it.
#pragma once

#include <string>

#include "model/lora.h"

namespace slm::model {

// The file has one alpha: where scale * rank is the same of all matrices it is that, else each
// scale is multiplied into its B. Throws kUnsupported for DoRA, which the format cannot say, and
// for an output that is tied to the embedding, which llama.cpp does not look up by its own name;
// kFailed for the disk.
void WriteGgufLora(const std::string& path, const Lora& lora, const format::GgufFile& base);

}  // namespace slm::model
