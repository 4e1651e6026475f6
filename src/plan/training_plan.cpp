#include "plan/training_plan.h"

#include <algorithm>
#include <memory>

#include "engine/model.h"
#include "eval/token_work.h"
#include "kernels/table.h"
#include "plan/cost.h"
#include "plan/serving_memory.h"
#include "plan/serving_speed.h"
#include "plan/shape_model.h"
#include "train/adamw.h"
#include "train/gradient_sum.h"
#include "train/trained_lora.h"

namespace slm::plan {
namespace {

double TrainingShare(const Efficiency& efficiency, const train::BackwardOptions& options) {
  return options.precision == ops::Precision::kFloats ? efficiency.training_f32
         : options.serves_gates_and_logits            ? efficiency.training_int8
                                                      : efficiency.training_int16;
}

// Of the base's products: forward, again where activations are not kept, and backward by the input.
double Passes(const train::BackwardOptions& options) { return options.keeps_activations ? 2 : 3; }

}  // namespace

TrainingPlan PlanTraining(const ModelSize& size, const TrainingJob& job, const Device& device,
                          engine::Runtime* runtime) {
  const ShapeModel shape(size, runtime);
  train::TrainedLora lora(shape.model(), train::NewLora(*shape.model(), job.lora));
  TrainingPlan plan;
  for (const train::TrainedWeights::Piece& piece : lora.pieces())
    plan.trained += static_cast<int64_t>(piece.values.size());
  const train::Backward backward(shape.model(), &lora, job.backward);
  const int64_t samples = std::min(
      job.batch, std::max<int64_t>(1, job.backward.rows / job.tokens));  // computed at once
  const int64_t rows = samples * job.tokens;
  const ServingMemory memory = MemoryHere(shape.model(), {.context = 1});
  plan.base = memory.weights;
  plan.program = memory.program;
  plan.adapter = static_cast<uint64_t>(plan.trained) * sizeof(float);
  plan.optimizer = train::AdamW::BytesFor(plan.trained);
  plan.activations = backward.BytesFor({samples, rows, rows}) +
                     train::GradientSum(plan.trained, std::make_shared<train::Ranks>())
                         .BytesFor(std::min(job.batch, job.examples));
  const auto efficiency = EfficiencyFor(device, runtime->kernels().isa);
  const double macs_per_second =
      efficiency ? PeakMacs(device, *efficiency) * TrainingShare(*efficiency, job.backward) : 0;
  if (macs_per_second > 0) {
    const eval::TokenWork work = eval::WorkOf(*shape.model(), true);
    const double tokens =
        static_cast<double>(job.examples) * static_cast<double>(job.tokens) * job.epochs;
    plan.engine = efficiency->training_engine;
    plan.seconds = tokens * Passes(job.backward) * (work.macs + work.output_macs) / macs_per_second;
  }
  if (device.kind != "gpu" && device.kind != "phone") plan.available = device.usable_bytes();
  plan.kilowatt_hours = plan.seconds * device.watts.value / kJoulesOfKilowattHour;
  return plan;
}

}  // namespace slm::plan
