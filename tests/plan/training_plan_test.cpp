// Fine-tuning by a shape takes what the trainer of a model of that shape says.
#include "plan/training_plan.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "format/gguf.h"
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
