// Whether a model fits a device, and what it would be like to use it there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "plan/device.h"
#include "plan/model_size.h"
#include "plan/serving_memory.h"
#include "plan/serving_speed.h"

namespace slm::plan {

// What one request is made of.
struct Call {
  int64_t tokens_in = 512, tokens_out = 64;
};

struct ServingPlan {
  ServingMemory memory;
  uint64_t available = 0;  // bytes that a model may take there; 0: not known
  std::optional<Efficiency> efficiency;
  ServingSpeed speed;  // one request at a time; 0 where nothing was measured on such a device

  bool is_known() const { return available > 0; }
  bool fits() const { return is_known() && memory.total() <= available; }
  // Seconds; 0: not known.
  double first_token_seconds(const Call& call) const;
  double call_seconds(const Call& call) const;
};

// `runtime` is what would run it where the device is this machine.
ServingPlan PlanServing(const ModelSize& size, const ServingLoad& load, const Call& call,
                        const Device& device, engine::Runtime* runtime);

}  // namespace slm::plan
