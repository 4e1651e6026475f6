// The numbers of a model from config.json, and as GGUF metadata with the keys and values of
// llama.cpp's converter.
#pragma once

#include <vector>

#include "convert/checkpoint.h"
#include "format/gguf_writer.h"
#include "model/hparams.h"

namespace slm::convert {

// Shapes, as far as tensors depend on them: what SizeOf() reads, and layers and context. Throws
// kBadInput, naming the key, for what is missing or makes no sense.
model::Hparams HparamsOf(const Checkpoint& checkpoint);

// <arch>.*, rope scaling included. Throws kUnsupported for a scaling that the family's GGUF cannot
// say. Adds notices of what is not carried over.
void WriteHparams(const Checkpoint& checkpoint, const model::Hparams& hparams,
                  format::GgufWriter* writer, std::vector<std::string>* notices);

}  // namespace slm::convert
