// What it takes to train an adapter beside a quantized base, by the base's shape.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "plan/device.h"
#include "plan/model_size.h"
#include "train/new_lora.h"
#include "train/trainer.h"

namespace slm::plan {

struct TrainingJob {
  int64_t examples = 0;
  int64_t tokens = 0;  // of an example
  int64_t batch = 0;   // examples of a step
  double epochs = 0;
  train::NewLoraOptions lora;
  train::BackwardOptions backward;
};

// Bytes that are resident at most, and seconds.
struct TrainingPlan {
  uint64_t base = 0, adapter = 0, optimizer = 0, activations = 0, program = 0;
  int64_t trained = 0;                // numbers
  std::optional<uint64_t> available;  // where slm finetune would run; nothing: not known
  double seconds = 0;                 // 0: not known
  double kilowatt_hours = 0;          // 0: not known
  std::string engine;                 // that takes so long

  uint64_t total() const { return base + adapter + optimizer + activations + program; }
};

// Throws as train::NewLora does for the adapter. The memory is that of slm finetune with the
// kernels of `runtime`, on whatever device.
TrainingPlan PlanTraining(const ModelSize& size, const TrainingJob& job, const Device& device,
                          engine::Runtime* runtime);

}  // namespace slm::plan
