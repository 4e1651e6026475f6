// A whole training: epochs over shuffled samples, evaluation, the best adapter, checkpoints. What a
// step trains on is a function of the seed and its number, so that a run that was interrupted goes
// on to the same bits.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "train/schedule.h"
#include "train/trainer.h"

namespace slm::train {

struct RunOptions {
  int64_t batch = 8;  // samples of a step
  double epochs = 3;  // where `steps` is 0
  int64_t steps = 0;  // in all
  bool shuffles = true;
  uint64_t seed = 0;
  double learning_rate = 2e-4;
  ScheduleKind schedule = ScheduleKind::kCosine;
  double warmup = 0.03;        // steps; below 1 a share of all
  int64_t evaluate_every = 0;  // steps; 0: every epoch
  int64_t patience = 0;        // evaluations without a gain after which it ends; 0: never
  int64_t save_every = 0;      // steps; 0: when it is interrupted, and every ten minutes
  std::string folder;          // of checkpoints
  int64_t started = 0;         // when the run began the first time; a checkpoint keeps it
};

struct StepReport {
  int64_t step = 0;  // from 1
  double epoch = 0;
  double learning_rate = 0;
  StepResult result;
  double seconds = 0;
};

struct EvaluationReport {
  int64_t step = 0;
  double loss = 0;
  bool is_best = false;
  double seconds = 0;
};

// Seconds, on average.
struct Pace {
  double step = 0, evaluation = 0, save = 0;
};

// Called on rank 0.
struct RunHooks {
  std::function<void(const StepReport&)> on_step;
  std::function<void(const EvaluationReport&)> on_evaluation;
  std::function<bool()> is_cancelled;  // asked between steps, and parts of an evaluation
};

enum class RunEnd { kDone, kEarly, kCancelled };

// Of all ranks together, with the same arguments; rank 0 has the folder, decides, and knows losses.
class TrainingRun {
 public:
  // `train` is not empty; without `eval` nothing is evaluated. The trainer and the samples must
  // outlive the result.
  TrainingRun(Trainer* trainer, std::span<const Sample> train, std::span<const Sample> eval,
              const RunOptions& options);

  int64_t steps() const { return steps_; }
  int64_t steps_per_epoch() const { return steps_per_epoch_; }

  // Goes on from the last checkpoint in the folder; false: there is none. Throws kBadInput, saying
  // what differs, when it is of another run. Of rank 0: the others are told by Run.
  bool Resume();
  int64_t done() const { return state_.step; }
  int64_t evaluated() const { return state_.evaluated; }
  // What Resume would find as `started` there.
  static std::optional<int64_t> StartedBefore(const std::string& folder);

  // Before the first step here, of rank 0: memory that the run will take beside what is there, and
  // seconds of a step and of an evaluation, by some samples that are computed for it, as if the
  // others were as fast and messages took no time, and of a checkpoint, by a part of one.
  uint64_t BytesAhead() const;
  Pace Measure();
  double SecondsLeft(const Pace& pace) const;

  // To the end, which writes a checkpoint as a cancelled run does. With evaluation the trainer then
  // has the best adapter, else the last. Throws as Trainer::Step does, naming the step and samples,
  // and kBadInput, saying what differs, on a rank whose model, data or options are not rank 0's.
  RunEnd Run(const RunHooks& hooks);

  // The indexes into `train` of step 0 and up.
  std::vector<size_t> SamplesOf(int64_t step) const;

  // Files that a run may have in its folder until it ends.
  static std::vector<std::string> CheckpointPaths(const std::string& folder);
  void RemoveCheckpoints() const;

 private:
  struct State {
    int64_t step = 0;  // that are done
    double best_loss = 0;
    int64_t best_step = -1;
    int64_t waited = 0;     // evaluations since then
    int64_t evaluated = 0;  // the step after which the last one was
  };
  nlohmann::ordered_json Identity() const;
  void Join();  // rank 0
  void Save() const;
  int64_t evaluate_every() const {
    return options_.evaluate_every > 0 ? options_.evaluate_every : steps_per_epoch_;
  }
  bool IsToEvaluate() const;
  bool Evaluate(const RunHooks& hooks);  // false: cancelled
  void Step(const RunHooks& hooks);

  Trainer* trainer_;
  const std::span<const Sample> train_, eval_;
  const RunOptions options_;
  int64_t steps_per_epoch_, steps_;
  Schedule schedule_;
  State state_;
};

}  // namespace slm::train
