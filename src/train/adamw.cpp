#include "train/adamw.h"

#include <cmath>

namespace slm::train {

AdamW::AdamW(const ParameterLayout& layout, const AdamWOptions& options)
    : layout_(layout),
      options_(options),
      first_(static_cast<size_t>(layout.size())),
      second_(static_cast<size_t>(layout.size())) {}

void AdamW::Restore(int64_t steps, std::vector<float> first, std::vector<float> second) {
  steps_ = steps;
  first_ = std::move(first);
  second_ = std::move(second);
}

void AdamW::Step(ops::Gradients* gradients, std::span<const float> gradient, double learning_rate,
                 model::Lora* lora) {
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
  const auto update = [&](int64_t at, std::vector<float>* values) {
    const auto place = static_cast<size_t>(at);
    gradients->AdamW(step, &gradient[place], static_cast<int64_t>(values->size()), &first_[place],
                     &second_[place], values->data());
  };
  for (size_t i = 0; i < lora->matrices.size(); ++i) {
    model::LoraMatrix& matrix = lora->matrices[i];
    update(layout_.place(i).a, &matrix.a);
    update(layout_.place(i).b, &matrix.b);
    if (!matrix.magnitude.empty()) update(layout_.place(i).magnitude, &matrix.magnitude);
  }
}

}  // namespace slm::train
