// The examples of a training, read, tokenized and shown.
#pragma once

#include <vector>

#include "cli/finetune_flags.h"
#include "train/sample.h"
#include "train/training_report.h"

namespace slm::cli {

struct TrainingData {
  std::vector<train::Sample> train, eval;
  train::Facts facts;       // for the report
  int64_t longest() const;  // tokens of a sample
};

// With `shows`, says on stderr what would be learnt. Throws kUsage without data, CheckAllTrained's,
// and what the readers of data throw.
TrainingData ReadTrainingData(const FinetuneFlags& flags, LoadedModel* loaded, bool shows);

}  // namespace slm::cli
