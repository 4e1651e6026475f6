#include "plan/serving_plan.h"

#include "kernels/table.h"
#include "plan/shape_model.h"

namespace slm::plan {

double ServingPlan::first_token_seconds(const Call& call) const {
  return speed.prefill > 0 ? static_cast<double>(call.tokens_in) / speed.prefill : 0;
}

double ServingPlan::call_seconds(const Call& call) const {
  return speed.prefill > 0 && speed.call_decode > 0 ? least_call_seconds(call) : 0;
}

double ServingPlan::least_call_seconds(const Call& call) const {
  const auto after_first = static_cast<double>(call.tokens_out - 1);
  return first_token_seconds(call) + (speed.call_decode > 0 ? after_first / speed.call_decode : 0);
}

ServingPlan PlanServing(const ModelSize& size, const ServingLoad& load, const Call& call,
                        const Device& device, engine::Runtime* runtime) {
  const ShapeModel shape(size, runtime);
  const bool is_here = device.kind == "here";
  ServingPlan plan;
  plan.memory = is_here ? MemoryHere(shape.model(), load) : MemoryElsewhere(shape.model(), load);
  plan.available = device.usable_bytes();
  plan.efficiency = EfficiencyFor(device, runtime->kernels().isa);
  if (plan.efficiency) plan.speed = SpeedOf(*shape.model(), load, call, device, *plan.efficiency);
  return plan;
}

}  // namespace slm::plan
