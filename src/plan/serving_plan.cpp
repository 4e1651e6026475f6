#include "plan/serving_plan.h"

#include "kernels/table.h"
#include "plan/shape_model.h"

namespace slm::plan {

double ServingPlan::first_token_seconds(const Call& call) const {
  return speed.prefill > 0 ? static_cast<double>(call.tokens_in) / speed.prefill : 0;
}

double ServingPlan::call_seconds(const Call& call) const {
  const double first = first_token_seconds(call);
  return first > 0 && speed.decode > 0
             ? first + static_cast<double>(call.tokens_out - 1) / speed.decode
             : 0;
}

ServingPlan PlanServing(const ModelSize& size, const ServingLoad& load, const Call& call,
                        const Device& device, engine::Runtime* runtime) {
  const ShapeModel shape(size, runtime);
  const bool is_here = device.kind == "here";
  ServingPlan plan;
  plan.memory = is_here ? MemoryHere(shape.model(), load) : MemoryElsewhere(shape.model(), load);
  plan.available = device.usable_bytes();
  plan.efficiency = EfficiencyFor(device, runtime->kernels().isa);
  if (plan.efficiency)
    plan.speed = SpeedOf(*shape.model(), load, call.tokens_in, device, *plan.efficiency);
  return plan;
}

}  // namespace slm::plan
