// What a run says before its first step that it will take.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/cpu.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"
#include "train/new_lora.h"
#include "train/trained_lora.h"
#include "train/training_run.h"

namespace slm::train {
namespace {

std::vector<Sample> SamplesOf(size_t count, size_t length) {
  std::mt19937 rng(1);
  std::vector<Sample> samples(count);
  for (Sample& sample : samples) sample.ids = sample.labels = testing::RandomIds(length, rng);
  return samples;
}

struct Plan {
  int64_t rows;  // at once
  bool keeps_activations;
  std::vector<Sample> train;
  bool is_int8 = false, is_dora = false;
  double dropout = 0;
};

// Exits with 0 where memory is planned to a tenth.
void TrainAndExit(const Plan& plan, const std::string& folder) {
  engine::Runtime runtime(2);
  const auto model = engine::Model::Load(
      testing::WriteTinyModel({.type = quant::Type::kQ4_K, .layers = 6}), &runtime);
  TrainerOptions options;
  options.backward.precision = ops::Precision::kWords;
  options.backward.serves_gates_and_logits = plan.is_int8;
  options.backward.keeps_activations = plan.keeps_activations;
  options.backward.rows = options.backward.longest = plan.rows;
  NewLoraOptions lora;
  lora.rank = 64;
  lora.is_dora = plan.is_dora;
  Trainer trainer(model, std::make_shared<TrainedLora>(model, NewLora(*model, lora), plan.dropout),
                  options);
  RunOptions of_run;
  of_run.batch = 4;
  of_run.steps = 2;
  of_run.folder = folder;
  TrainingRun run(&trainer, plan.train, {}, of_run);
  const auto ahead = static_cast<double>(run.BytesAhead());
  const auto before = static_cast<double>(ResidentBytes());
  run.Run({});
  const double taken = static_cast<double>(PeakResidentBytes()) - before;
  std::fprintf(stderr, "planned %.0f bytes, taken %.0f\n", ahead, taken);
  std::exit(ahead > 12e6 && std::abs(taken - ahead) < 0.1 * ahead ? 0 : 1);
}

class MemoryPlan : public ::testing::TestWithParam<Plan> {};

TEST_P(MemoryPlan, IsWhatTheRunTakes) {
#ifdef SLM_SANITIZED
  GTEST_SKIP() << "sanitizers take memory of their own";
#endif
  const testing::TempFolder folder;
  // A process of its own, as memory that others gave back is taken again.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(TrainAndExit(GetParam(), folder.path()), ::testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Runs, MemoryPlan,
                         ::testing::Values(Plan{2048, false, SamplesOf(8, 513)},
                                           Plan{2048, true, SamplesOf(8, 513)},
                                           Plan{2048, true, SamplesOf(8, 513), true},
                                           Plan{2048, true, SamplesOf(8, 513), false, true},
                                           Plan{2048, true, SamplesOf(8, 513), false, true, 0.1},
                                           Plan{1536, false, SamplesOf(2, 1537)}));

}  // namespace
}  // namespace slm::train
