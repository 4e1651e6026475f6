// One adapter in both forms, PEFT's and llama.cpp's, computes the same; what a form cannot say is
// refused. Against PEFT itself: peft_adapter_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "base/error.h"
#include "convert/lora_model.h"
#include "convert/peft_adapter.h"
#include "convert/peft_adapter_writer.h"
#include "format/safetensors.h"
#include "format/safetensors_writer.h"
#include "model/lora_writer.h"
#include "support/data.h"
#include "support/floats.h"
#include "support/temp_folder.h"
#include "tiny/tiny_lora.h"
#include "tiny/tiny_model.h"

namespace slm::convert {
namespace {

using model::Lora;
using model::LoraMatrix;
using model::Slot;
using nlohmann::json;
using testing::TempFolder;

struct Param {
  std::string arch;
  bool is_fused = false;
};

// Of all matrices of the layers.
Lora LayersLora(const LoraModel& model, bool is_dora = false) {
  std::mt19937 rng(5);
  Lora lora = testing::RandomLora(model.file(), model.model().hparams(), is_dora, rng);
  std::erase_if(lora.matrices, [](const LoraMatrix& m) { return m.slot == Slot::kOutput; });
  return lora;
}

// Ranks and scales of their own.
Lora MixedLora(const LoraModel& model) {
  Lora lora = LayersLora(model);
  for (size_t i = 0; i < lora.matrices.size(); ++i) {
    LoraMatrix& m = lora.matrices[i];
    const auto rank = static_cast<int64_t>(2 + i % 3);
    for (int64_t row = 0; row < m.out; ++row)
      std::copy_n(m.b.begin() + row * m.rank, rank, m.b.begin() + row * rank);
    m.b.resize(static_cast<size_t>(m.out * rank));
    m.a.resize(static_cast<size_t>(rank * m.in));
    m.rank = rank;
    m.scale = 0.3f * static_cast<float>(1 + i % 4);
  }
  return lora;
}

class AdapterForms : public ::testing::TestWithParam<Param> {
 protected:
  const LoraModel model_{
      testing::WriteTinyModel({.arch = GetParam().arch, .is_fused = GetParam().is_fused})};
  const TempFolder folder_;

  Lora ThroughPeft(const Lora& lora, bool is_rank_stabilised = false) const {
    WritePeftLora(folder_.path(), lora, model_.targets(), {"base", is_rank_stabilised});
    return ReadPeftLora(folder_.path(), model_.targets());
  }
  Lora ThroughGguf(const Lora& lora) const {
    model::WriteGgufLora(folder_ / "adapter.gguf", lora, model_.file());
    return model::ReadGgufLora(folder_ / "adapter.gguf", model_.targets());
  }
  // After some ids.
  std::vector<float> Logits(const Lora& lora) const {
    std::mt19937 rng(6);
    return model_.Logits(lora, testing::RandomIds(30, rng));
  }
};

TEST_P(AdapterForms, KeepEveryBitOfOneScale) {
  const Lora lora = LayersLora(model_);
  const std::vector<float> expected = Logits(lora);
  EXPECT_GT(WorstError(Logits({}), expected), 0.1f) << "the adapter does nothing";
  for (const bool is_rank_stabilised : {false, true}) {
    const Lora peft = ThroughPeft(lora, is_rank_stabilised), gguf = ThroughGguf(peft);
    EXPECT_TRUE(testing::SameBits(Logits(peft), expected));
    EXPECT_TRUE(testing::SameBits(Logits(gguf), expected));
    EXPECT_TRUE(testing::SameBits(Logits(ThroughPeft(gguf)), expected));
  }
}

TEST_P(AdapterForms, HaveTheScalesOfMixedRanksAndAlphas) {
  const Lora lora = MixedLora(model_);
  const std::vector<float> expected = Logits(lora);
  for (const bool is_rank_stabilised : {false, true}) {
    const Lora peft = ThroughPeft(lora, is_rank_stabilised), gguf = ThroughGguf(peft);
    EXPECT_LT(WorstError(Logits(peft), expected), 1e-4f);
    EXPECT_LT(WorstError(Logits(gguf), expected), 1e-4f);
    EXPECT_LT(WorstError(Logits(ThroughPeft(gguf)), expected), 1e-4f);
    for (const LoraMatrix& m : gguf.matrices) EXPECT_EQ(m.scale, 1.0f);
  }
}

TEST_P(AdapterForms, DoraIsForPeftOnly) {
  const Lora lora = LayersLora(model_, true);
  EXPECT_TRUE(testing::SameBits(Logits(ThroughPeft(lora)), Logits(lora)));
  try {
    ThroughGguf(lora);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("magnitudes of DoRA"), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, AdapterForms,
                         ::testing::Values(Param{"llama"}, Param{"qwen2"}, Param{"qwen3"},
                                           Param{"phi3", true}, Param{"gemma2"}, Param{"gemma3"},
                                           Param{"mistral3"}),
                         [](const auto& test) { return test.param.arch; });

TEST(AdapterOfATiedOutput, IsForPeftOnly) {
  const LoraModel model(testing::WriteTinyModel({}));
  Lora lora = LayersLora(model);
  std::mt19937 rng(7);
  lora.matrices.push_back(
      testing::RandomLora(model.file(), model.model().hparams(), false, rng).matrices.front());
  ASSERT_EQ(lora.matrices.back().slot, Slot::kOutput);
  const TempFolder folder;
  WritePeftLora(folder.path(), lora, model.targets(), {"base"});
  const std::vector<int32_t> ids = {1, 2, 3};
  EXPECT_TRUE(testing::SameBits(model.Logits(ReadPeftLora(folder.path(), model.targets()), ids),
                                model.Logits(lora, ids)));
  EXPECT_THROW(model::WriteGgufLora(folder / "adapter.gguf", lora, model.file()), Error);
}

// As PEFT has them, of a multimodal model's names, too.
TEST(Patterns, AreOfNamesAsTheyStand) {
  const LoraModel model(testing::WriteTinyModel({}));
  const TempFolder folder, inside;
  WritePeftLora(folder.path(), LayersLora(model), model.targets(), {"base"});
  const auto from = format::Safetensors::OpenFolder(folder.path(), "adapter_model");
  format::SafetensorsWriter writer(inside.path(), UINT64_MAX, "adapter_model");
  for (const auto& tensor : from.tensors()) {
    std::string name = tensor.name;
    name.insert(name.find("layers."), "language_model.");
    writer.Declare(name, tensor.type->name, tensor.shape);
  }
  for (const auto& tensor : from.tensors()) writer.Append(tensor.data);
  writer.Finish();
  json config = json::parse(testing::ReadFile(folder / "adapter_config.json"));
  config["alpha_pattern"] = {{R"(model.language_model.layers.\d.mlp\..*)", 20}};
  testing::WriteFile(inside / "adapter_config.json", config.dump());
  for (const LoraMatrix& m : ReadPeftLora(inside.path(), model.targets()).matrices)
    EXPECT_EQ(m.scale, m.slot >= Slot::kFfnGate ? 4.0f : 0.5f) << static_cast<int>(m.slot);
}

// What PEFT 0.21 (LoraConfig) takes without a warning, and what vLLM (lora/peft_helper.py,
// lora/lora_model.py) asks for: it has one rank and one alpha for all modules, knows a module by
// the last part of its name, and refuses biases, whole modules, DoRA and other tensors.
TEST_P(AdapterForms, AreReadByPeftAndVllm) {
  const std::set<std::string> known = {"peft_type",
                                       "task_type",
                                       "base_model_name_or_path",
                                       "r",
                                       "lora_alpha",
                                       "lora_dropout",
                                       "target_modules",
                                       "rank_pattern",
                                       "alpha_pattern",
                                       "use_rslora",
                                       "use_dora",
                                       "bias",
                                       "fan_in_fan_out",
                                       "init_lora_weights",
                                       "inference_mode",
                                       "modules_to_save"};
  const std::set<std::string> linear = {"q_proj",       "k_proj",   "v_proj",
                                        "o_proj",       "qkv_proj", "gate_proj",
                                        "gate_up_proj", "up_proj",  "down_proj"};
  for (const Lora& lora : {LayersLora(model_), MixedLora(model_)}) {
    WritePeftLora(folder_.path(), lora, model_.targets(), {"base.gguf"});
    const json config = json::parse(testing::ReadFile(folder_ / "adapter_config.json"));
    for (const auto& [key, value] : config.items()) EXPECT_TRUE(known.contains(key)) << key;
    EXPECT_EQ(config["peft_type"], "LORA");
    EXPECT_EQ(config["task_type"], "CAUSAL_LM");
    EXPECT_EQ(config["base_model_name_or_path"], "base.gguf");
    EXPECT_EQ(config["bias"], "none");
    EXPECT_EQ(config["use_dora"], false);
    EXPECT_EQ(config["lora_dropout"], 0);
    EXPECT_TRUE(config["modules_to_save"].is_null());
    for (const std::string name : config["target_modules"]) EXPECT_TRUE(linear.contains(name));
    ASSERT_TRUE(config["r"].is_number_integer());
    const auto scale_of = [](const json& alpha, const json& rank) {
      return alpha.get<double>() / rank.get<double>();
    };
    const double scale = scale_of(config["lora_alpha"], config["r"]);
    for (const auto& [module, rank] : config["rank_pattern"].items())
      EXPECT_NEAR(scale_of(config["alpha_pattern"].at(module), rank), scale, 1e-9) << module;
    EXPECT_EQ(config["alpha_pattern"].size(), config["rank_pattern"].size());

    const auto tensors = format::Safetensors::OpenFolder(folder_.path(), "adapter_model");
    EXPECT_EQ(tensors.metadata().at("format"), "pt");
    EXPECT_EQ(tensors.tensors().size(), 2 * lora.matrices.size());
    for (const format::SafetensorsTensor& tensor : tensors.tensors()) {
      const size_t end = tensor.name.find(".lora_");
      ASSERT_NE(end, std::string::npos) << tensor.name;
      const std::string module = tensor.name.substr(0, end), part = tensor.name.substr(end);
      EXPECT_TRUE(module.starts_with("base_model.model.model.layers.")) << tensor.name;
      EXPECT_TRUE(linear.contains(module.substr(module.rfind('.') + 1))) << tensor.name;
      EXPECT_TRUE(part == ".lora_A.weight" || part == ".lora_B.weight") << tensor.name;
    }
  }
}

// They declare a whole number; the scale is a float.
TEST_P(AdapterForms, AlphaIsWholeWhereItWas) {
  for (const bool is_rank_stabilised : {false, true}) {
    Lora lora = LayersLora(model_);
    const auto rank = static_cast<double>(lora.matrices.front().rank);
    for (LoraMatrix& m : lora.matrices)
      m.scale = static_cast<float>(16 / (is_rank_stabilised ? std::sqrt(rank) : rank));
    WritePeftLora(folder_.path(), lora, model_.targets(), {"base", is_rank_stabilised});
    const json config = json::parse(testing::ReadFile(folder_ / "adapter_config.json"));
    EXPECT_EQ(config["lora_alpha"].dump(), "16");
    EXPECT_EQ(ReadPeftLora(folder_.path(), model_.targets()).matrices[0].scale,
              lora.matrices[0].scale);
  }
}

}  // namespace
}  // namespace slm::convert
