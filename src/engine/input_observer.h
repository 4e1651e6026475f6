// Watches the inputs of a model's weight matrices as a forward pass computes: what importance
// matrices and error feedback are measured on.
#pragma once

#include <cstdint>
#include <span>

#include "model/tensor_table.h"

namespace slm::engine {

class InputObserver {
 public:
  virtual ~InputObserver() = default;

  // Called once for every group of products that share an input, in the order of the computation,
  // on the thread that called Forward. `readers` are the tensors of the file that are multiplied
  // with it: fused ones by their own slot, kTokenEmbd where the output is tied to it. `layer` is 0
  // outside of layers. `x` is [rows, k], before any rounding; it is valid during the call only.
  virtual void OnInput(int64_t layer, std::span<const model::Slot> readers, int64_t rows, int64_t k,
                       const float* x) = 0;
};

}  // namespace slm::engine
