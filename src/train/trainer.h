// Trains an adapter or a model, step by step.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
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

// What things cost here, measured.
struct TrainingCost {
  double row_seconds = 0;         // of a token that is trained on
  double step_seconds = 0;        // of a step, beside its tokens
  double evaluation_seconds = 0;  // of a token that is evaluated
};

// Loss and norm are known to rank 0.
struct StepResult {
  double loss = 0;           // mean over the trained tokens, before the step
  double gradient_norm = 0;  // before it was cut
  int64_t trained = 0;       // tokens
  int64_t rows = 0;          // tokens that were computed
};

// Step and Evaluate are of all ranks together, with the same samples; the numbers are those of rank
// 0. Everything else is of rank 0 alone.
class Trainer {
 public:
  // `weights` are of the model.
  Trainer(std::shared_ptr<const engine::Model> model, std::shared_ptr<TrainedWeights> weights,
          const TrainerOptions& options, std::shared_ptr<Ranks> ranks = std::make_shared<Ranks>());

  // One step on these samples, each of which has rows(). The gradient is that of the mean over all
  // their trained tokens; how they are grouped in memory, or shared among ranks, changes nothing.
  // Throws kFailed when loss or gradient is not finite; then nothing has changed.
  StepResult Step(std::span<const Sample* const> samples, double learning_rate);

  // Memory that steps of so many samples take, beside what is there: none of them was made yet.
  // `batch` is the largest that is computed at once.
  uint64_t BytesFor(int64_t samples, const BatchSize& batch) const;
  // Of the first of these samples, about `kMeasuredRows` tokens. Changes nothing.
  TrainingCost Measure(std::span<const Sample* const> samples, bool evaluates);
  // Seconds of a checkpoint there, by a part of one that is written and vanishes. Throws kFailed
  // for the disk.
  double MeasureSave(const std::string& folder) const;

  // Sum of the losses of the trained tokens, on rank 0.
  double Evaluate(std::span<const Sample* const> samples);

  static constexpr int64_t kMeasuredRows = 256;

  // The numbers, and where `has_moments` the optimizer's state, as <folder>/<stem>.safetensors,
  // with `state` for who comes back. Throws kFailed for the disk, and when one is not finite; what
  // was there stays then.
  void Save(const std::string& folder, const std::string& stem, bool has_moments,
            const nlohmann::ordered_json& state) const;
  // Goes on from there; returns `state`. Throws kBadInput for a file with other numbers.
  nlohmann::ordered_json Load(const std::string& folder, const std::string& stem, bool has_moments);
  // What Load returns, alone.
  static nlohmann::ordered_json LoadState(const std::string& folder, const std::string& stem);

  // What of model, weights and options the bits of a step depend on, beside the numbers: what a
  // checkpoint has to agree with.
  nlohmann::ordered_json Identity() const;

  int64_t size() const { return size_; }  // numbers that are trained
  int64_t rows_at_once() const { return options_.backward.rows; }
  Ranks* ranks() const { return ranks_.get(); }
  // Of the last step, as the optimizer had it: of the weights' numbers. On rank 0.
  std::span<const float> gradient() const { return gradient_; }

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
  std::shared_ptr<TrainedWeights> weights_;
  const std::vector<TrainedWeights::Piece> pieces_;
  const int64_t size_;
  const uint64_t base_;  // a hash of the model, as it was
  Backward backward_;
  GradientSum sum_;
  std::span<float> gradient_;
  std::unique_ptr<AdamW> adamw_;  // of rank 0
};

}  // namespace slm::train
