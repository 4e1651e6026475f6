#include "train/adamw.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace slm::train {

void AdamW::Step(ops::Gradients* gradients, std::span<const float> gradient, double learning_rate,
                 std::span<const TrainedWeights::Piece> pieces) {
  ++steps_;
  // Moments begin at zero, which these corrections make up for.
  const double of_first = 1 - std::pow(options_.beta1, static_cast<double>(steps_));
  const double of_second = std::sqrt(1 - std::pow(options_.beta2, static_cast<double>(steps_)));
  kernels::AdamStep step;
  step.learning_rate = static_cast<float>(learning_rate * of_second / of_first);
  step.beta1 = static_cast<float>(options_.beta1);
  step.beta2 = static_cast<float>(options_.beta2);
  step.epsilon = static_cast<float>(options_.epsilon * of_second);
  size_t at = 0;
  for (const TrainedWeights::Piece& piece : pieces) {
    const double decay = piece.decays ? options_.weight_decay : 0;
    step.decay = static_cast<float>(1 - learning_rate * decay);
    gradients->AdamW(step, &gradient[at], static_cast<int64_t>(piece.values.size()), &first()[at],
                     &second()[at], piece.values.data());
    at += piece.values.size();
  }
}

double AdamW::Measure(ops::Gradients* gradients, int64_t size) {
  // 128 MB, which is more than caches hold, but no more than the moments will take.
  const int64_t some = std::min((size + 1) / 2, int64_t{1} << 23);
  std::vector<float> numbers(static_cast<size_t>(4 * some));
  float* at = numbers.data();
  const auto begin = std::chrono::steady_clock::now();
  gradients->AdamW({}, at, some, at + some, at + 2 * some, at + 3 * some);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return seconds.count() * static_cast<double>(size) / static_cast<double>(some);
}

}  // namespace slm::train
