// slm merge with held-out examples: every form that the fine-tuned model can have is made and
// measured, and the one that loses nothing is kept.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/loaded_model.h"

namespace slm::cli {

struct MeasuredMergeFlags {
  ModelOptions model;  // the base that the adapter was trained on, and the adapter
  std::string output, type;
  std::string data, imatrix, float_model;
  int64_t limit = 0;
  bool has_no_speed = false, is_json = false;
};

// Throws kUsage for flags that do not go together, kBadInput for examples that cannot be measured
// on or models that do not belong together, and what writing and loading models does.
void RunMeasuredMerge(const MeasuredMergeFlags& flags);

}  // namespace slm::cli
