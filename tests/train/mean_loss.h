#pragma once

#include "train/trainer.h"

namespace slm::train {

// Over the trained tokens, on rank 0.
inline double MeanLoss(Trainer* trainer, std::span<const Sample* const> samples) {
  int64_t trained = 0;
  for (const Sample* sample : samples) trained += sample->trained();
  return trainer->Evaluate(samples) / static_cast<double>(trained);
}

}  // namespace slm::train
