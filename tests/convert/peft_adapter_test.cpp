// Adapters of the tiny models against transformers and PEFT (PyTorch, float32), from both kinds of
// files.
#include "convert/peft_adapter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/lora_model.h"
#include "convert/peft_adapter_writer.h"
#include "model/lora_writer.h"
#include "model/merged_loras.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::convert {
namespace {

using nlohmann::json;

constexpr const char* kModel = "/model-f32.gguf";

class Adapter : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(Adapter, MatchesPeft) {
  const auto [family, kind] = GetParam();
  SLM_DATA_OR_SKIP(folder, std::string("tiny/") + family);
  const std::string adapter = folder + "/" + kind;
  const json truth = json::parse(testing::ReadFile(adapter + "/training.json"));
  const std::vector<int32_t> ids = truth.at("ids").at(0);
  const std::vector<float> expected = truth.at("logits_with_initial_adapter_row0_last");
  const LoraModel model(folder + kModel);
  const model::Lora lora = ReadPeftLora(adapter, model.targets());
  EXPECT_LE(WorstError(model.Logits(lora, ids), expected), 3e-3f);
  EXPECT_GT(WorstError(model.Logits({}, ids), expected), 0.1f) << "the adapter does nothing";
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
  const LoraModel model(folder + kModel);
  const model::LoraTargets targets = model.targets();
  const model::Lora lora = ReadPeftLora(adapter, targets);
  const testing::TempFolder to;
  WritePeftLora(to.path(), lora, targets,
                {.base_name = "tiny", .is_rank_stabilised = kind == std::string("rslora")});
  ExpectSame(ReadPeftLora(to.path(), targets), lora);
  const std::string gguf = to / "adapter.gguf";
  if (kind == std::string("dora")) {
    EXPECT_THROW(model::WriteGgufLora(gguf, lora, model.file()), Error);
    return;
  }
  model::WriteGgufLora(gguf, lora, model.file());
  const model::Lora from_gguf = model::ReadGgufLora(gguf, targets);
  ExpectSame(from_gguf, lora);
  WritePeftLora(to.path(), from_gguf, targets, {.base_name = "tiny"});
  ExpectSame(ReadPeftLora(to.path(), targets), lora);
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
  const LoraModel model(folder + kModel);
  try {
    ReadPeftLora(to.path(), model.targets());
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
  for (const char* init : {"pissa_niter_4", "lora_ga"})
    ExpectRefused({{"init_lora_weights", init}}, "changes the base");
  ExpectRefused({{"rank_pattern", {{"q_proj", 2}}}}, "expected rank 2");
  ExpectRefused({{"alpha_pattern", {{"q_proj(", 2}}}}, "is no pattern");
  ExpectRefused({{"alpha_pattern", {{"(a?){99}", 2}}}}, "counted repeats");
  ExpectRefused({{"alpha_pattern", {{"q_proj", 1e300}}}}, "is too large");
  ExpectRefused({{"fan_in_fan_out", true}}, "fan_in_fan_out");
}

// alpha of each module: the first pattern that matches all of a name.
TEST(AlphaPattern, ScalesItsModules) {
  SLM_DATA_OR_SKIP(folder, "tiny/llama");
  const testing::TempFolder to;
  CopyAdapter(folder + "/lora", {{"alpha_pattern", {{"layers.1.mlp.up_proj", 2}, {"q_proj", 16}}}},
              to.path());
  const LoraModel model(folder + kModel);
  for (const model::LoraMatrix& matrix : ReadPeftLora(to.path(), model.targets()).matrices) {
    const float expected = matrix.slot == model::Slot::kAttnQ                        ? 4.0f
                           : matrix.slot == model::Slot::kFfnUp && matrix.layer == 1 ? 0.5f
                                                                                     : 2.0f;
    EXPECT_EQ(matrix.scale, expected) << static_cast<int>(matrix.slot) << " " << matrix.layer;
  }
}

// By GGUF's one alpha and back, with a scale of its own for every kind of matrix.
TEST(AlphaPattern, GoesThroughBothForms) {
  for (const char* family :
       {"llama", "qwen2", "qwen3", "phi4", "phi4mini", "gemma2", "gemma3", "ministral3"}) {
    SLM_DATA_OR_SKIP(folder, std::string("tiny/") + family);
    const testing::TempFolder from, to;
    CopyAdapter(
        folder + "/lora",
        {{"alpha_pattern",
          {{R"(layers\.(0|2)\..*)", 3}, {"self_attn.(q_proj|qkv_proj)", 20}, {"o_proj", 0.5}}}},
        from.path());
    const LoraModel model(folder + kModel);
    const std::vector<int32_t> ids = {5, 6, 7, 8, 9, 10};
    const model::Lora lora = ReadPeftLora(from.path(), model.targets());
    const std::vector<float> expected = model.Logits(lora, ids);
    EXPECT_GT(
        WorstError(model.Logits(ReadPeftLora(folder + "/lora", model.targets()), ids), expected),
        0.1f);
    model::WriteGgufLora(to / "adapter.gguf", lora, model.file());
    const model::Lora gguf = model::ReadGgufLora(to / "adapter.gguf", model.targets());
    EXPECT_LT(WorstError(model.Logits(gguf, ids), expected), 1e-3f) << family;
    EXPECT_EQ(model::DigestOf(gguf), model::DigestOf(lora)) << family;
    for (const model::Lora* one : {&lora, &gguf}) {
      WritePeftLora(to.path(), *one, model.targets(), {.base_name = "tiny"});
      EXPECT_LT(WorstError(model.Logits(ReadPeftLora(to.path(), model.targets()), ids), expected),
                1e-3f)
          << family;
    }
  }
}

}  // namespace
}  // namespace slm::convert
