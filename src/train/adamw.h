// AdamW over an adapter's numbers (Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
// arXiv 1711.05101), in float32 and in PyTorch's order of operations.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/lora.h"
#include "ops/gradients.h"
#include "train/parameter_layout.h"

namespace slm::train {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;
};

class AdamW {
 public:
  AdamW(const ParameterLayout& layout, const AdamWOptions& options);

  // Gradient and moments lie as the layout says.
  void Step(ops::Gradients* gradients, std::span<const float> gradient, double learning_rate,
            model::Lora* lora);

  // What a checkpoint keeps of it.
  int64_t steps() const { return steps_; }
  std::span<const float> first() const { return first_; }
  std::span<const float> second() const { return second_; }
  void Restore(int64_t steps, std::vector<float> first, std::vector<float> second);

 private:
  const ParameterLayout& layout_;
  const AdamWOptions options_;
  int64_t steps_ = 0;
  std::vector<float> first_, second_;  // moments
};

}  // namespace slm::train
