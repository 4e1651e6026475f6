// What a training says on stderr: what it will take, how far it is, what it took.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "train/training_log.h"
#include "train/training_run.h"

namespace slm::cli {

// What a run takes: memory at most, and time.
struct Needs {
  uint64_t bytes = 0;
  double seconds = 0;
};

std::string Describe(const Needs& needs);

// Says what `run`, of so many samples, will take from here: the memory first, then, when some
// samples have been computed for it, the time.
Needs Plan(size_t samples, train::TrainingRun* run);

// A line of each step, which on a terminal replaces the one before, and of each evaluation; all of
// them go into `log` as well. Runs end where Ctrl-C was pressed.
class Reporter {
 public:
  Reporter(int64_t steps, train::TrainingLog* log);
  ~Reporter() { Finish(); }

  train::RunHooks Hooks();

 private:
  void OnStep(const train::StepReport& report);
  void OnEvaluation(const train::EvaluationReport& report);
  void Finish();

  const int64_t steps_;
  train::TrainingLog* log_;
  const bool is_terminal_;
  bool is_open_ = false;  // a line that the next one overwrites
  double seconds_ = 0;
  int64_t steps_here_ = 0;
};

}  // namespace slm::cli
