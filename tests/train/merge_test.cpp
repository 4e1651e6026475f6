// Adapters in the weights: as if they were computed beside them, on every kernel table.
#include "train/merge.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "engine/executor.h"
#include "kernels/table.h"
#include "support/temp_folder.h"
#include "tiny/tiny_lora.h"
#include "tiny/tiny_model.h"

namespace slm::train {
namespace {

using engine::Model;

void Write(const format::GgufFile& base, const model::Lora& lora, float scale,
           const std::string& path) {
  const ScaledLora scaled = {&lora, scale};
  const std::vector<format::TensorSource> sources = MergedTensors(base, {&scaled, 1});
  const std::vector<format::TensorTarget> targets(sources.size());
  ThreadPool pool(2);
  format::GgufWriter writer(path);
  writer.CopyAll(base.metadata());
  format::StreamTensors(sources, targets, &writer, &pool, nullptr);
  writer.Finish();
}

std::vector<float> Logits(const std::shared_ptr<const Model>& model, const model::Lora& lora,
                          float scale, std::span<const int32_t> ids) {
  engine::SessionOptions options;
  options.context = 64;
  options.k_type = options.v_type = kernels::KvType::kF32;
  options.loras = {std::make_shared<engine::Lora>(*model, lora, scale)};
  engine::Session session(model, options);
  engine::Executor executor(model);
  const std::span<const float> logits = executor.Extend(&session, ids);
  return {logits.begin(), logits.end()};
}

struct Param {
  std::string arch;
  bool is_dora;
};

class Merge : public ::testing::TestWithParam<Param> {};

TEST_P(Merge, IsAsTheAdapterBeside) {
  for (const kernels::KernelTable* table : kernels::AvailableTables()) {
    std::mt19937 rng(71);
    engine::Runtime runtime(2, *table);
    const auto model = Model::Load(testing::WriteTinyModel({.arch = GetParam().arch}), &runtime);
    const model::Lora lora =
        testing::RandomLora(model->file(), model->hparams(), GetParam().is_dora, rng);
    const testing::TempFolder folder;
    Write(model->file(), lora, 0.7f, folder / "merged.gguf");
    const auto merged = Model::Load(folder / "merged.gguf", &runtime);
    std::vector<int32_t> ids(40);
    for (int32_t& id : ids) id = static_cast<int32_t>(rng() % testing::kTinyVocab);
    const std::vector<float> expected = Logits(merged, {}, 1, ids);
    const std::vector<float> got = Logits(model, lora, 0.7f, ids);
    const std::vector<float> plain = Logits(model, {}, 1, ids);
    double error = 0, effect = 0, power = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const auto e = static_cast<double>(expected[i]);
      error += std::pow(static_cast<double>(got[i]) - e, 2);
      effect += std::pow(static_cast<double>(plain[i]) - e, 2);
      power += e * e;
    }
    EXPECT_LT(error, 1e-8 * power) << table->isa;
    EXPECT_GT(effect, 1e-2 * power) << "the adapter does nothing";
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Merge,
                         ::testing::Values(Param{"llama", false}, Param{"llama", true},
                                           Param{"gemma3", false}, Param{"gemma3", true}),
                         [](const auto& test) {
                           return test.param.arch + (test.param.is_dora ? "_dora" : "_lora");
                         });

TEST(BadMerge, WhatIsNotFiniteIsRefused) {
  std::mt19937 rng(73);
  engine::Runtime runtime(1);
  const auto model = Model::Load(testing::WriteTinyModel({}), &runtime);
  model::Lora lora = testing::RandomLora(model->file(), model->hparams(), false, rng);
  lora.matrices[3].a[5] = std::numeric_limits<float>::infinity();
  const testing::TempFolder folder;
  EXPECT_THROW(Write(model->file(), lora, 1, folder / "merged.gguf"), Error);
}

}  // namespace
}  // namespace slm::train
