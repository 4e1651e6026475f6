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
  train::Pace pace;
};

std::string Describe(const Needs& needs);

// Says what `run`, of so many samples, will take from here: the memory first, then, when some
// samples have been computed for it, the time.
Needs Plan(size_t samples, train::TrainingRun* run);

// A line of each step, which on a terminal replaces the one before, and of each evaluation; all of
// them go into `log` as well. Runs end where Ctrl-C was pressed.
class Reporter {
 public:
  // `pace` is what is planned.
  Reporter(const train::TrainingRun* run, const train::Pace& pace, train::TrainingLog* log);
  ~Reporter() { Finish(); }

  train::RunHooks Hooks();

 private:
  void OnStep(const train::StepReport& report);
  void OnEvaluation(const train::EvaluationReport& report);
  void Finish();

  // The mean of those so far.
  struct Mean {
    double sum = 0;
    int64_t count = 0;
    void Add(double value) {
      sum += value;
      ++count;
    }
    double Or(double planned) const {
      return count > 0 ? sum / static_cast<double>(count) : planned;
    }
  };
  const train::TrainingRun* run_;
  const train::Pace planned_;
  train::TrainingLog* log_;
  const bool is_terminal_;
  bool is_open_ = false;  // a line that the next one overwrites
  Mean step_, evaluation_;
};

}  // namespace slm::cli
