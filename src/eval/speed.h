// How fast a model prefills and decodes here, and what share that is of what this machine can do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/executor.h"
#include "eval/machine_probe.h"

namespace slm {
class Progress;
}

namespace slm::eval {

struct SpeedOptions {
  int64_t prompt = 512;  // tokens prefilled, 0: do not measure
  int64_t predict = 64;  // tokens decoded, 0: do not measure
  int64_t depth = 0;     // tokens already in the context
  int repeats = 5;
  engine::SessionOptions session;  // context 0: what the test needs
};

struct Speed {
  double tokens_per_second = 0;  // median
  double best = 0, worst = 0;
  // Median. Prefill: of the int8 multiply-adds, those of all products with weights counted; decode:
  // of the read bandwidth, the bytes of weights, keys and values counted. Nothing for models that
  // the last cache holds by half: they are faster than memory.
  std::optional<double> share_of_peak;
  double work_per_token = 0;   // the multiply-adds, or the bytes
  std::vector<double> probes;  // the peak before and after every repetition that counts
};

struct SpeedReport {
  MachinePeak peak;  // median of all probes
  Speed prefill, decode;
  int discarded = 0;  // repetitions measured again, as the probes around them differed by a tenth
};

// Throws kUsage when a context is given that the test does not fit in. At most as many repetitions
// as are asked for are discarded. `progress` counts repetitions.
SpeedReport MeasureSpeed(const std::shared_ptr<const engine::Model>& model,
                         engine::Executor* executor, const SpeedOptions& options,
                         Progress* progress = nullptr);

// Of at least one.
double Median(std::vector<double> values);

}  // namespace slm::eval
