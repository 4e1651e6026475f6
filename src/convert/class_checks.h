// What config.json can ask of a class of transformers and GGUF has no words for: the runtime would
// compute something else.
#pragma once

#include <vector>

#include "convert/checkpoint.h"
#include "model/hparams.h"

namespace slm::convert {

// Throws kUnsupported, naming the key, where a model of these numbers is not what slm and llama.cpp
// compute for the family: another activation, scale of queries or mask, logits without Gemma 2's
// caps.
void CheckClass(const Checkpoint& checkpoint, const model::Hparams& hparams);

// Which layers attend within sliding_window, should there be one: layer_types, else the class's own
// rule. Throws kUnsupported for other kinds of layers.
std::vector<bool> WindowLayers(const Checkpoint& checkpoint, int64_t layers);

}  // namespace slm::convert
