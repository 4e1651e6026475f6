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

struct ServingPlan {
  ServingMemory memory;
  std::optional<uint64_t> available;  // bytes that a model may take there; nothing: not known
  std::optional<Efficiency> efficiency;
  ServingSpeed speed;  // one request at a time; 0 where nothing was measured on such a device

  bool fits() const { return available && memory.total() <= *available; }
  bool is_too_large() const { return available && !fits(); }  // neither: it is not known
  // Seconds; 0: not known.
  double first_token_seconds(const Call& call) const;
  double call_seconds(const Call& call) const;
  // What is known of a call's seconds.
  double least_call_seconds(const Call& call) const;
};

// `runtime` is what would run it where the device is this machine.
ServingPlan PlanServing(const ModelSize& size, const ServingLoad& load, const Call& call,
                        const Device& device, engine::Runtime* runtime);

}  // namespace slm::plan
