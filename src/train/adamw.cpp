#include "train/adamw.h"

#include <cmath>

namespace slm::train {

void AdamW::Restore(int64_t steps, std::vector<float> first, std::vector<float> second) {
  steps_ = steps;
  first_ = std::move(first);
  second_ = std::move(second);
}

void AdamW::Step(ops::Gradients* gradients, std::span<const float> gradient, double learning_rate,
                 std::span<const std::span<float>> numbers) {
  ++steps_;
  // Moments begin at zero, which these corrections make up for.
  const double first = 1 - std::pow(options_.beta1, static_cast<double>(steps_));
  const double second = std::sqrt(1 - std::pow(options_.beta2, static_cast<double>(steps_)));
  kernels::AdamStep step;
  step.learning_rate = static_cast<float>(learning_rate * second / first);
  step.decay = static_cast<float>(1 - learning_rate * options_.weight_decay);
  step.beta1 = static_cast<float>(options_.beta1);
  step.beta2 = static_cast<float>(options_.beta2);
  step.epsilon = static_cast<float>(options_.epsilon * second);
  size_t at = 0;
  for (const std::span<float> piece : numbers) {
    gradients->AdamW(step, &gradient[at], static_cast<int64_t>(piece.size()), &first_[at],
                     &second_[at], piece.data());
    at += piece.size();
  }
}

}  // namespace slm::train
