// Adapters of the tiny models against transformers and PEFT (PyTorch, float32), from both kinds of
// files.
#include "convert/peft_adapter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/peft_adapter_writer.h"
#include "engine/executor.h"
#include "model/lora_writer.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::convert {
namespace {

using nlohmann::json;

struct Loaded {
  engine::Runtime runtime{2};
  std::shared_ptr<const engine::Model> model;
  explicit Loaded(const std::string& folder)
      : model(engine::Model::Load(folder + "/model-f32.gguf", &runtime)) {}
  model::LoraTargets targets() const { return {model->file(), model->hparams()}; }

  // Logits after the last id.
  std::vector<float> Logits(const model::Lora& lora, const std::vector<int32_t>& ids) {
    engine::SessionOptions options;
    options.context = 64;
    options.k_type = options.v_type = kernels::KvType::kF32;
    options.loras = {std::make_shared<engine::Lora>(*model, lora, 1.0f)};
    engine::Session session(model, options);
    engine::Executor executor(model);
    const std::span<const float> logits = executor.Extend(&session, ids);
    return {logits.begin(), logits.end()};
  }
};

float WorstError(const std::vector<float>& got, const std::vector<float>& expected) {
  EXPECT_EQ(got.size(), expected.size());
  float worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const float error = std::fabs(got[i] - expected[i]);
    if (!(error <= worst)) worst = error;  // so that a NaN stays
  }
  return worst;
}

class Adapter : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(Adapter, MatchesPeft) {
  const auto [family, kind] = GetParam();
  SLM_DATA_OR_SKIP(folder, std::string("tiny/") + family);
  const std::string adapter = folder + "/" + kind;
  const json truth = json::parse(testing::ReadFile(adapter + "/training.json"));
  const std::vector<int32_t> ids = truth.at("ids").at(0);
  const std::vector<float> expected = truth.at("logits_with_initial_adapter_row0_last");
  Loaded loaded(folder);
  const model::Lora lora = ReadPeftLora(adapter, loaded.targets());
  EXPECT_LE(WorstError(loaded.Logits(lora, ids), expected), 3e-3f);
  EXPECT_GT(WorstError(loaded.Logits({}, ids), expected), 0.1f) << "the adapter does nothing";
}

constexpr std::tuple<const char*, const char*> kAdapters[] = {
    {"llama", "lora"},    {"qwen2", "lora"},  {"qwen3", "lora"},    {"phi4", "lora"},
    {"phi4mini", "lora"}, {"gemma2", "lora"}, {"gemma3", "lora"},   {"ministral3", "lora"},
    {"llama", "rslora"},  {"phi4", "rslora"}, {"gemma3", "rslora"}, {"llama", "dora"},
    {"phi4", "dora"},     {"gemma3", "dora"}};

INSTANTIATE_TEST_SUITE_P(Families, Adapter, ::testing::ValuesIn(kAdapters), [](const auto& test) {
  return std::string(std::get<0>(test.param)) + "_" + std::get<1>(test.param);
});

bool Same(const model::LoraMatrix& a, const model::LoraMatrix& b) {
  return a.slot == b.slot && a.layer == b.layer && a.rank == b.rank && a.scale == b.scale &&
         a.a == b.a && a.b == b.b && a.magnitude == b.magnitude;
}

void ExpectSame(model::Lora got, model::Lora expected) {
  ASSERT_EQ(got.matrices.size(), expected.matrices.size());
  const auto order = [](const model::LoraMatrix& a, const model::LoraMatrix& b) {
    return std::pair(a.layer, a.slot) < std::pair(b.layer, b.slot);
  };
  for (model::Lora* lora : {&got, &expected})
    std::sort(lora->matrices.begin(), lora->matrices.end(), order);
  for (size_t i = 0; i < got.matrices.size(); ++i)
    EXPECT_TRUE(Same(got.matrices[i], expected.matrices[i]))
        << static_cast<int>(got.matrices[i].slot) << " of layer " << got.matrices[i].layer;
}

TEST_P(Adapter, GoesThroughBothFormsUnchanged) {
  const auto [family, kind] = GetParam();
  SLM_DATA_OR_SKIP(folder, std::string("tiny/") + family);
  const std::string adapter = folder + "/" + kind;
  Loaded loaded(folder);
  const model::LoraTargets targets = loaded.targets();
  const model::Lora lora = ReadPeftLora(adapter, targets);
  const testing::TempFolder to;
  WritePeftLora(to.path(), lora, targets,
                {.base_name = "tiny", .is_rank_stabilised = kind == std::string("rslora")});
  ExpectSame(ReadPeftLora(to.path(), targets), lora);
  const std::string gguf = to / "adapter.gguf";
  if (kind == std::string("dora")) {
    EXPECT_THROW(model::WriteGgufLora(gguf, lora, loaded.model->file()), Error);
    return;
  }
  model::WriteGgufLora(gguf, lora, loaded.model->file());
  ExpectSame(model::ReadGgufLora(gguf, targets), lora);
}

// A copy of an adapter in `folder`, with a changed config.
void CopyAdapter(const std::string& from, const json& change, const std::string& folder) {
  std::filesystem::copy(from + "/adapter_model.safetensors", folder);
  json config = json::parse(testing::ReadFile(from + "/adapter_config.json"));
  config.update(change);
  std::ofstream(folder + "/adapter_config.json") << config.dump();
}

void ExpectRefused(const json& change, const std::string& says) {
  SLM_DATA_OR_SKIP(folder, "tiny/llama");
  const testing::TempFolder to;
  CopyAdapter(folder + "/lora", change, to.path());
  Loaded loaded(folder);
  try {
    ReadPeftLora(to.path(), loaded.targets());
    FAIL() << "expected an error that says " << says;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
  }
}

TEST(BadAdapter, IsRefused) {
  ExpectRefused({{"r", 8}}, "expected rank 8");
  ExpectRefused({{"peft_type", "IA3"}}, "peft_type");
  ExpectRefused({{"use_dora", true}}, "lora_magnitude_vector is missing");
  ExpectRefused({{"bias", "all"}}, "bias");
  ExpectRefused({{"init_lora_weights", "pissa_niter_4"}}, "changes the base");
  ExpectRefused({{"rank_pattern", {{"q_proj", 2}}}}, "expected rank 2");
  ExpectRefused({{"alpha_pattern", {{"q_proj(", 2}}}}, "is no pattern");
  ExpectRefused({{"fan_in_fan_out", true}}, "fan_in_fan_out");
}

// alpha of each module: the first pattern that matches all of a name.
TEST(AlphaPattern, ScalesItsModules) {
  SLM_DATA_OR_SKIP(folder, "tiny/llama");
  const testing::TempFolder to;
  CopyAdapter(folder + "/lora", {{"alpha_pattern", {{"layers.1.mlp.up_proj", 2}, {"q_proj", 16}}}},
              to.path());
  Loaded loaded(folder);
  for (const model::LoraMatrix& matrix : ReadPeftLora(to.path(), loaded.targets()).matrices) {
    const float expected = matrix.slot == model::Slot::kAttnQ                        ? 4.0f
                           : matrix.slot == model::Slot::kFfnUp && matrix.layer == 1 ? 0.5f
                                                                                     : 2.0f;
    EXPECT_EQ(matrix.scale, expected) << static_cast<int>(matrix.slot) << " " << matrix.layer;
  }
}

}  // namespace
}  // namespace slm::convert
