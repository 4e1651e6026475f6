// Adapters into the weights: W + scale * B A, of DoRA with its rows scaled.
#pragma once

#include <span>
#include <vector>

#include "format/gguf.h"
#include "format/tensor_stream.h"
#include "model/lora.h"

namespace slm::train {

struct ScaledLora {
  const model::Lora* lora = nullptr;
  float scale = 1;  // multiplies the adapter's own
};

// All tensors of `base` in its order, decoded, with the adapters added in double and rounded once
// to float; behind them an output of its own where an adapter changes a tied one. Reading throws
// kBadInput, naming the tensor, for what is not finite. The arguments must outlive the result.
std::vector<format::TensorSource> MergedTensors(const format::GgufFile& base,
                                                std::span<const ScaledLora> loras);

}  // namespace slm::train
