// Trains an adapter, step by step.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "train/adamw.h"
#include "train/backward.h"
#include "train/gradient_sum.h"
#include "train/ranks.h"

namespace slm::train {

struct TrainerOptions {
  BackwardOptions backward;
  AdamWOptions adamw;
  double clip = 0;    // the norm that gradients are cut down to; 0: they are not
  uint64_t seed = 0;  // of dropout
};

// Loss and norm are known to rank 0.
struct StepResult {
  double loss = 0;           // mean over the trained tokens, before the step
  double gradient_norm = 0;  // before it was cut
  int64_t trained = 0;       // tokens
  int64_t rows = 0;          // tokens that were computed
};

// Step and Evaluate are of all ranks together, with the same samples; the adapter is that of rank
// 0. Everything else is of rank 0 alone.
class Trainer {
 public:
  // The matrices of the adapter have their numbers. Throws kUnsupported where one is of a slot that
  // is not trained.
  Trainer(std::shared_ptr<const engine::Model> model, model::Lora lora,
          const TrainerOptions& options, std::shared_ptr<Ranks> ranks = std::make_shared<Ranks>());

  // One step on these samples, each of which has rows(). The gradient is that of the mean over all
  // their trained tokens; how they are grouped in memory, or shared among ranks, changes nothing.
  // Throws kFailed when loss or gradient is not finite; then nothing has changed.
  StepResult Step(std::span<const Sample* const> samples, double learning_rate);

  // Mean loss over the trained tokens, on rank 0.
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

  Ranks* ranks() const { return ranks_.get(); }
  const model::Lora& lora() const { return lora_; }
  // Of the last step, as the optimizer had it, in the shape of the adapter.
  model::Lora gradient() const;

 private:
  // The loss of each sample, to rank 0. run(first, samples) gives those of as many neighbours of
  // this rank's as fit a batch.
  template <class F>
  std::vector<double> Losses(std::span<const Sample* const> samples, const std::vector<int>& owners,
                             const F& run);
  void TakeNumbers();  // of rank 0
  // Of the dropout of samples of the next step.
  std::vector<uint64_t> SampleSeeds(size_t count);

  std::shared_ptr<const engine::Model> model_;
  std::shared_ptr<Ranks> ranks_;
  const TrainerOptions options_;
  model::Lora lora_;
  ParameterLayout layout_;
  engine::ChangingLora changing_;
  Backward backward_;
  GradientSum sum_;
  std::span<float> gradient_;
  std::optional<AdamW> adamw_;  // of rank 0
};

}  // namespace slm::train
