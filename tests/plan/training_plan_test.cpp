// Fine-tuning by a shape takes what the trainer of a model of that shape says.
#include "plan/training_plan.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "format/gguf.h"
#include "kernels/table.h"
#include "plan/serving_speed.h"
#include "tiny/tiny_model.h"
#include "train/trained_lora.h"

namespace slm::plan {
namespace {

TEST(TrainingPlan, IsTheTrainersOwn) {
  const std::string path = testing::WriteTinyModel({.type = quant::Type::kQ4_K, .layers = 6});
  engine::Runtime runtime(1);
  TrainingJob job;
  job.examples = 100;
  job.tokens = 128;
  job.batch = 4;
  job.epochs = 2;
  job.backward.precision = ops::Precision::kWords;
  const TrainingPlan plan =
      PlanTraining(SizeOf(format::GgufFile::Open(path)), job, Device{}, &runtime);
  const auto model = engine::Model::Load(path, &runtime);
  train::TrainerOptions options;
  options.backward = job.backward;
  const train::Trainer trainer(
      model, std::make_shared<train::TrainedLora>(model, train::NewLora(*model, job.lora)),
      options);
  EXPECT_EQ(plan.trained, trainer.size());
  EXPECT_EQ(plan.optimizer, 8u * static_cast<uint64_t>(trainer.size()));
  EXPECT_EQ(plan.optimizer + plan.activations, trainer.BytesFor(4, {4, 512, 512}));
  EXPECT_EQ(plan.seconds, 0);  // nothing is known of such a device
}

TEST(TrainingPlan, TimeIsPassesOverAShareOfThePeak) {
  engine::Runtime runtime(1);
  Device here;
  here.kind = "here";
  here.int8_operations.value = 1e12;
  TrainingJob job;
  job.examples = 10;
  job.tokens = 100;
  job.batch = 1;
  job.epochs = 2;
  const ModelSize size = SizeOf(FindCatalogModel("llama-3.2-1b"), compress::FindRecipe("q4_k_m"));
  // As the command's --precision and --checkpointing set them.
  const auto seconds = [&](ops::Precision precision, bool is_int8, bool keeps_activations) {
    job.backward.precision = precision;
    job.backward.serves_gates_and_logits = is_int8;
    job.backward.keeps_activations = keeps_activations;
    return PlanTraining(size, job, here, &runtime).seconds;
  };
  const auto efficiency = EfficiencyFor(here, runtime.kernels().isa);
  ASSERT_TRUE(efficiency);
  // Forward, forward again, and backward: 1,235,746,816 multiply-adds each.
  const double words = seconds(ops::Precision::kWords, false, false);
  const double macs = 2000 * 3 * 1'235'746'816.0;
  EXPECT_NEAR(words, macs / (0.5e12 * efficiency->training_int16), 0.001 * words);
  EXPECT_NEAR(seconds(ops::Precision::kWords, false, true), words * 2 / 3, 0.001 * words);
  const double bytes = seconds(ops::Precision::kWords, true, false);
  EXPECT_NEAR(bytes, macs / (0.5e12 * efficiency->training_int8), 0.001 * bytes);
  EXPECT_LT(bytes, words);
  const double floats = seconds(ops::Precision::kFloats, false, false);
  EXPECT_NEAR(floats, macs / (0.5e12 * efficiency->training_f32), 0.001 * floats);
  EXPECT_GT(floats, words);
}

TEST(TrainingPlan, RefusesARankAboveTheMatrix) {
  engine::Runtime runtime(1);
  TrainingJob job;
  job.examples = job.tokens = job.batch = 1;
  job.lora.rank = 100000;
  EXPECT_THROW(
      PlanTraining(SizeOf(FindCatalogModel("llama-3.2-1b"), compress::FindRecipe("q4_k_m")), job,
                   Device{}, &runtime),
      Error);
}

}  // namespace
}  // namespace slm::plan
