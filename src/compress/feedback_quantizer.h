// Quantizes a model with error feedback: layer by layer, each on the activations that the layers
// before it give once they are quantized.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compress/quantizer.h"
#include "engine/model.h"

namespace slm::compress {

// `plan` is that of model->file(). `sequences` are the calibration tokens, at most
// Executor::kMaxRows each. Writes `path` as QuantizeFile does, the layers first. Throws as it does.
void QuantizeWithFeedback(const std::shared_ptr<const engine::Model>& model,
                          std::span<const TensorPlan> plan, const QuantizeOptions& options,
                          std::vector<std::vector<int32_t>> sequences, const std::string& path,
                          Progress* progress);

}  // namespace slm::compress
