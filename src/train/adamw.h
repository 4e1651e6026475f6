// AdamW over what is trained (Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
// arXiv 1711.05101), in float32 and in PyTorch's order of operations.
#pragma once

#include <cstdint>
#include <span>

#include "base/aligned_buffer.h"
#include "train/trained_weights.h"

namespace slm::train {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;
};

class AdamW {
 public:
  AdamW(int64_t size, const AdamWOptions& options)
      : options_(options), first_(BytesFor(size) / 2), second_(BytesFor(size) / 2) {}

  // Memory of the moments, which is taken in the first step.
  static uint64_t BytesFor(int64_t size) { return 2 * sizeof(float) * static_cast<uint64_t>(size); }

  // The gradient is that of the pieces, one behind the other.
  void Step(ops::Gradients* gradients, std::span<const float> gradient, double learning_rate,
            std::span<const TrainedWeights::Piece> pieces);

  // Seconds that a step over so many numbers takes, by some of them.
  static double Measure(ops::Gradients* gradients, int64_t size);

  // What a checkpoint keeps of it.
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }
  std::span<float> first() { return Floats(first_); }
  std::span<float> second() { return Floats(second_); }

 private:
  static std::span<float> Floats(const AlignedBuffer& buffer) {
    return {reinterpret_cast<float*>(buffer.data()), buffer.size() / sizeof(float)};
  }

  const AdamWOptions options_;
  int64_t steps_ = 0;
  AlignedBuffer first_, second_;  // moments
};

}  // namespace slm::train
