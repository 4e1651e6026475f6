// What a training did, one JSON object a line: {"step", "loss", ..} and {"step", "eval_loss", ..}.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "train/training_run.h"

namespace slm::train {

class TrainingLog {
 public:
  // A run that goes on keeps the lines of its first `done` steps, and of evaluations after the
  // first `evaluated`. Throws kFailed.
  TrainingLog(std::string path, int64_t done, int64_t evaluated);
  ~TrainingLog();
  TrainingLog(const TrainingLog&) = delete;
  TrainingLog& operator=(const TrainingLog&) = delete;

  // Each throws kFailed for a full disk.
  void Write(const StepReport& report);
  void Write(const EvaluationReport& report);

 private:
  void WriteLine(const std::string& line);

  std::string path_;
  std::FILE* file_ = nullptr;
};

struct TrainingHistory {
  std::vector<StepReport> steps;
  std::vector<EvaluationReport> evaluations;
};

// What a log holds; what is no line of one is skipped. Of what is no file, such as a pipe, nothing.
TrainingHistory ReadTrainingLog(const std::string& path);

}  // namespace slm::train
