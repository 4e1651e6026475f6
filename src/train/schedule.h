// The learning rate of a step.
#pragma once

#include <cstdint>
#include <string>

namespace slm::train {

enum class ScheduleKind { kConstant, kLinear, kCosine };

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  double learning_rate = 0;  // the highest
  int64_t warmup = 0;        // steps in which it rises from 0
  int64_t steps = 0;         // in all

  // Of step 0 and up, as transformers' schedulers have it: after warm-up constant, or down to 0 at
  // `steps`, in a line or in half a cosine.
  double At(int64_t step) const;
};

const char* Name(ScheduleKind kind);
// "constant", "linear" or "cosine"; throws kUsage.
ScheduleKind ParseSchedule(const std::string& name);

}  // namespace slm::train
