// AdamW over what is trained (Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
// arXiv 1711.05101), in float32 and in PyTorch's order of operations.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/gradients.h"

namespace slm::train {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;
};

class AdamW {
 public:
  AdamW(int64_t size, const AdamWOptions& options)
      : options_(options), first_(static_cast<size_t>(size)), second_(static_cast<size_t>(size)) {}

  // Of the pieces of `numbers`, one behind the other.
  void Step(ops::Gradients* gradients, std::span<const float> gradient, double learning_rate,
            std::span<const std::span<float>> numbers);

  // What a checkpoint keeps of it.
  int64_t steps() const { return steps_; }
  std::span<const float> first() const { return first_; }
  std::span<const float> second() const { return second_; }
  void Restore(int64_t steps, std::vector<float> first, std::vector<float> second);

 private:
  const AdamWOptions options_;
  int64_t steps_ = 0;
  std::vector<float> first_, second_;  // moments
};

}  // namespace slm::train
