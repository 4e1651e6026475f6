// The gradients of a model by transformers' names, in its order of rows.
#pragma once

#include <string>

#include "format/gguf.h"
#include "model/hparams.h"

namespace slm::convert {

// Of a file whose tensors are gradients in F32, as <folder>/<stem>.safetensors. What transformers
// has in its configuration is left out. Throws kUnsupported where it does not know the family,
// kFailed for the disk.
void WriteHfGradients(const format::GgufFile& gradients, const model::Hparams& hparams,
                      const std::string& folder, const std::string& stem);

}  // namespace slm::convert
