// Trains an adapter, step by step.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "train/adamw.h"
#include "train/backward.h"
#include "train/gradient_sum.h"

namespace slm::train {

struct TrainerOptions {
  BackwardOptions backward;
  AdamWOptions adamw;
  double clip = 0;  // the norm that gradients are cut down to; 0: they are not
};

struct StepResult {
  double loss = 0;           // mean over the trained tokens, before the step
  double gradient_norm = 0;  // before it was cut
  int64_t trained = 0;       // tokens
  int64_t rows = 0;          // tokens that were computed
};

class Trainer {
 public:
  // The matrices of the adapter have their numbers. Throws kUnsupported where one is of a slot that
  // is not trained.
  Trainer(std::shared_ptr<const engine::Model> model, model::Lora lora,
          const TrainerOptions& options);

  // One step on these samples, each of which has rows(). The gradient is that of the mean over all
  // their trained tokens; how they are grouped in memory changes nothing. Throws kFailed when loss
  // or gradient is not finite; then nothing has changed.
  StepResult Step(std::span<const Sample* const> samples, double learning_rate);

  // Mean loss over the trained tokens.
  double Evaluate(std::span<const Sample* const> samples);

  // The adapter, and where `has_moments` the optimizer's state, as <folder>/<stem>.safetensors,
  // with `state` for who comes back. Throws kFailed for the disk; what was there stays then.
  void Save(const std::string& folder, const std::string& stem, bool has_moments,
            const nlohmann::ordered_json& state) const;
  // Goes on from there; returns `state`. Throws kBadInput for a file that is of another adapter.
  nlohmann::ordered_json Load(const std::string& folder, const std::string& stem, bool has_moments);

  // What of base, adapter and options the bits of a step depend on, beside the adapter's numbers:
  // what a checkpoint has to agree with.
  nlohmann::ordered_json Identity() const;

  const model::Lora& lora() const { return lora_; }
  // Of the last step, as the optimizer had it, in the shape of the adapter.
  model::Lora gradient() const;

 private:
  // f(first, samples) for as many neighbours as fit a batch.
  template <class F>
  void ForBatches(std::span<const Sample* const> samples, const F& f) const;

  std::shared_ptr<const engine::Model> model_;
  const TrainerOptions options_;
  model::Lora lora_;
  ParameterLayout layout_;
  engine::ChangingLora changing_;
  Backward backward_;
  GradientSum sum_;
  std::span<float> gradient_;
  AdamW adamw_;
};

}  // namespace slm::train
