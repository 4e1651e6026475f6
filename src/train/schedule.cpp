#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace slm::train {

double Schedule::At(int64_t step) const {
  if (step < warmup) return learning_rate * static_cast<double>(step) / static_cast<double>(warmup);
  const double done = static_cast<double>(step - warmup) /
                      static_cast<double>(std::max<int64_t>(1, steps - warmup));
  switch (kind) {
    case ScheduleKind::kConstant:
      return learning_rate;
    case ScheduleKind::kLinear:
      return learning_rate * std::max(0.0, 1 - done);
    case ScheduleKind::kCosine:
      return learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, done)));
  }
  SLM_CHECK(false);
}

const char* Name(ScheduleKind kind) {
  switch (kind) {
    case ScheduleKind::kConstant:
      return "constant";
    case ScheduleKind::kLinear:
      return "linear";
    case ScheduleKind::kCosine:
      return "cosine";
  }
  SLM_CHECK(false);
}

ScheduleKind ParseSchedule(const std::string& name) {
  for (const auto kind : {ScheduleKind::kConstant, ScheduleKind::kLinear, ScheduleKind::kCosine})
    if (name == Name(kind)) return kind;
  throw Error(Code::kUsage, "--schedule: expected constant, linear or cosine, got \"{}\"", name);
}

}  // namespace slm::train
