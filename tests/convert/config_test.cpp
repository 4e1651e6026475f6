// What config.json says of the computation: carried over as transformers means it, or refused.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/thread_pool.h"
#include "convert/convert.h"
#include "convert/hf_export.h"
#include "convert/recipe_target.h"
#include "convert/tiny_checkpoint.h"
#include "format/gguf.h"
#include "model/hparams.h"
#include "support/temp_folder.h"

namespace slm::convert {
namespace {

using format::GgufFile;
using nlohmann::ordered_json;

class ConfigTest : public ::testing::Test {
 protected:
  GgufFile Convert(const TinyCheckpoint& checkpoint, const std::string& name = "model") {
    const std::string folder = temp_ / ("case" + std::to_string(++cases_));
    checkpoint.Write(folder, name + ".safetensors");
    return ConvertFolder(folder);
  }

  GgufFile ConvertFolder(const std::string& folder) {
    notices_ = ConvertToGguf({.folder = folder, .output = folder + ".gguf", .has_vocab = false},
                             RecipeTarget("F32"), &pool_, nullptr);
    return GgufFile::Open(folder + ".gguf");
  }

  // What slm computes with.
  static model::Hparams Hparams(const GgufFile& file) {
    return model::ReadHparams(
        file, model::FindFamily(file.metadata().GetString("general.architecture"), file.path()));
  }

  // The message of the error; "" without one.
  std::string Problem(const TinyCheckpoint& checkpoint, Code code = Code::kUnsupported,
                      const std::string& name = "model") {
    try {
      Convert(checkpoint, name);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return "";
  }

  // There and back and there again.
  GgufFile Again(const GgufFile& file) {
    const std::string folder = temp_ / ("again" + std::to_string(++cases_));
    HfExportOptions options;
    options.input = file.path();
    options.folder = folder;
    options.threads = 1;
    options.notice = [](const std::string&) {};
    ExportHf(options);
    return ConvertFolder(folder);
  }

  testing::TempFolder temp_;
  ThreadPool pool_{2};
  std::vector<std::string> notices_;
  int cases_ = 0;
};

#define EXPECT_HAS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << "got: " << (text)

TEST_F(ConfigTest, YarnScalesAttentionAsTransformersDoes) {
  const double usual = 0.1 * std::log(4.0) + 1;
  const auto mscale = [](double m) { return 0.1 * m * std::log(4.0) + 1; };
  const struct {
    ordered_json more;
    double attention;
  } kCases[] = {{ordered_json::object(), usual},
                {{{"attention_factor", 1.5}}, 1.5},
                {{{"attention_factor", 1.5}, {"mscale", 1}, {"mscale_all_dim", 1}}, 1.5},
                {{{"mscale", 1}, {"mscale_all_dim", 1}}, 1},
                {{{"mscale", 0.7}, {"mscale_all_dim", 1.3}}, mscale(0.7) / mscale(1.3)},
                {{{"mscale_all_dim", 1.3}}, usual}};
  for (const auto& [more, attention] : kCases) {
    for (const bool is_mistral : {false, true}) {
      TinyCheckpoint checkpoint = TinyLlama();
      ordered_json& config = checkpoint.config;
      config["rope_scaling"] = {
          {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}};
      config["rope_scaling"].update(more);
      if (is_mistral) {
        config["architectures"] = {"Ministral3ForCausalLM"};
        config["model_type"] = "ministral3";
      }
      const GgufFile file = Convert(checkpoint), again = Again(file);
      for (const GgufFile* result : {&file, &again})
        EXPECT_NEAR(Hparams(*result).rope_attn_factor, attention, 1e-6) << more << is_mistral;
      // llama.cpp reads the multiplier of mistral3 only, yarn_attn_factor of neither.
      for (const char* arch : {"llama", "mistral3"})
        EXPECT_FALSE(file.metadata().Has(arch + std::string(".rope.scaling.yarn_attn_factor")));
      EXPECT_FALSE(file.metadata().Has("llama.rope.scaling.yarn_log_multiplier"));
    }
  }
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.config["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}, {"truncate", false}};
  EXPECT_HAS(Problem(checkpoint), "truncate");
}

TEST_F(ConfigTest, LongRopeScalesAttentionAsTransformersDoes) {
  const struct {
    ordered_json more;
    double attention;
  } kCases[] = {{ordered_json::object(), std::sqrt(1 + std::log(2.0) / std::log(64.0))},
                {{{"factor", 8.0}}, std::sqrt(1 + std::log(8.0) / std::log(64.0))},
                {{{"attention_factor", 1.25}}, 1.25}};
  for (const auto& [more, attention] : kCases) {
    TinyCheckpoint checkpoint = TinyPhi3();
    checkpoint.config["rope_scaling"].update(more);
    const GgufFile file = Convert(checkpoint), again = Again(file);
    for (const GgufFile* result : {&file, &again}) {
      EXPECT_NEAR(result->metadata().GetFloat("phi3.rope.scaling.attn_factor"), attention, 1e-6);
      EXPECT_EQ(result->metadata().GetInt("phi3.rope.scaling.original_context_length"), 64);
    }
    EXPECT_TRUE(std::ranges::equal(file.Get("rope_factors_long.weight").data,
                                   again.Get("rope_factors_long.weight").data));
  }
}

TEST_F(ConfigTest, Llama3ScalingNeedsItsContext) {
  TinyCheckpoint checkpoint = TinyLlama();
  ordered_json& scaling = checkpoint.config["rope_scaling"];
  scaling = {
      {"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 1}, {"high_freq_factor", 4}};
  EXPECT_HAS(Problem(checkpoint, Code::kBadInput), "original_max_position_embeddings: missing");
  scaling["original_max_position_embeddings"] = 64;
  EXPECT_EQ(Problem(checkpoint), "");
}

TEST_F(ConfigTest, GemmasCapsComeBack) {
  TinyCheckpoint checkpoint = TinyGemma2();
  checkpoint.config["final_logit_softcapping"] = 20.0;
  const GgufFile file = Convert(checkpoint), again = Again(file);
  for (const GgufFile* result : {&file, &again}) {
    EXPECT_EQ(Hparams(*result).attn_softcap, 50);
    EXPECT_EQ(Hparams(*result).final_softcap, 20);
    EXPECT_EQ(Hparams(*result).window, 16);
  }
}

TEST_F(ConfigTest, NullIsNotTheDefaultOfTheClass) {
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    TinyCheckpoint checkpoint = TinyGemma2();
    checkpoint.config.erase(key);
    EXPECT_EQ(Problem(checkpoint), "");
    checkpoint.config[key] = nullptr;
    EXPECT_HAS(Problem(checkpoint), std::string(key) + ": runtimes cap");
  }
  TinyCheckpoint checkpoint = TinyGemma2();
  checkpoint.config["sliding_window"] = nullptr;
  EXPECT_HAS(Problem(checkpoint, Code::kBadInput), "sliding_window: missing");
}

TEST_F(ConfigTest, OtherComputationsAreRefused) {
  const auto problem = [&](TinyCheckpoint checkpoint, const char* key, ordered_json value) {
    checkpoint.config[key] = std::move(value);
    return Problem(checkpoint);
  };
  EXPECT_HAS(problem(TinyLlama(), "hidden_act", "gelu"), "hidden_act: expected silu");
  EXPECT_HAS(problem(TinyQwen2(), "hidden_act", "gelu_pytorch_tanh"), "hidden_act: expected silu");
  EXPECT_HAS(problem(TinyGemma2(), "hidden_activation", "gelu"), "expected gelu_pytorch_tanh");
  EXPECT_EQ(problem(TinyGemma2(), "hidden_act", "gelu"), "");  // Gemma 2's class does not read it
  EXPECT_EQ(problem(TinyLlama(), "hidden_act", "silu"), "");
  EXPECT_HAS(problem(TinyGemma2(), "query_pre_attn_scalar", 16), "expected 8");
  TinyCheckpoint gemma = TinyGemma2();
  gemma.config.erase("query_pre_attn_scalar");
  EXPECT_HAS(Problem(gemma), "expected 8, which runtimes take for 2 layers of gemma2, got 256");
  EXPECT_HAS(problem(TinyGemma2(), "use_bidirectional_attention", true), "bidirectional");
  EXPECT_HAS(problem(TinyLlama(), "is_causal", false), "is_causal");
  EXPECT_EQ(problem(TinyGemma2(), "layer_types", {"sliding_attention", "full_attention"}), "");
  EXPECT_HAS(problem(TinyGemma2(), "layer_types", {"full_attention", "sliding_attention"}),
             "layer 0: expected a window in all but the last of every 2 layers");
  EXPECT_HAS(problem(TinyGemma2(), "layer_types", {"full_attention", "full_attention"}), "layer 0");
  EXPECT_HAS(problem(TinyLlama(), "layer_types", {"full_attention", "linear_attention"}),
             "layer 1: expected sliding_attention or full_attention");
}

TEST_F(ConfigTest, AnotherRopeBaseOfGemma2IsWritten) {
  TinyCheckpoint checkpoint = TinyGemma2();
  EXPECT_FALSE(Convert(checkpoint).metadata().Has("gemma2.rope.freq_base"));
  checkpoint.config["rope_theta"] = 50000.0;
  EXPECT_EQ(Hparams(Convert(checkpoint)).rope_base, 50000.0f);
}

TEST_F(ConfigTest, AWindowOfQwenIsSaidWhereItIsUsed) {
  TinyCheckpoint checkpoint = TinyQwen2();
  ordered_json& config = checkpoint.config;
  config["sliding_window"] = 64;
  Convert(checkpoint);
  EXPECT_TRUE(notices_.empty()) << notices_[0];
  config["use_sliding_window"] = true;
  Convert(checkpoint);
  EXPECT_TRUE(notices_.empty()) << notices_[0];  // max_window_layers is 28
  config["max_window_layers"] = 1;
  Convert(checkpoint);
  ASSERT_EQ(notices_.size(), 1u);
  EXPECT_HAS(notices_[0], "sliding_window of 64");
}

TEST_F(ConfigTest, ClassesHaveAnEpsilon) {
  TinyCheckpoint llama = TinyLlama(), phi = TinyPhi3();
  llama.config.erase("rms_norm_eps");
  phi.config.erase("rms_norm_eps");
  EXPECT_EQ(Hparams(Convert(llama)).eps, 1e-6f);
  EXPECT_EQ(Convert(phi).metadata().GetFloat("phi3.attention.layer_norm_rms_epsilon"), 1e-5f);
}

TEST_F(ConfigTest, CodeOfTheModelThatItWasTunedFrom) {
  TinyCheckpoint phi = TinyPhi3();
  ordered_json& code = phi.config["auto_map"]["AutoModelForCausalLM"];
  code = "microsoft/Phi-4-mini-instruct--modeling_phi3.Phi3ForCausalLM";
  EXPECT_EQ(Problem(phi), "");
  code = "somebody/Phi--modeling_phi3.Phi3ForCausalLM";
  EXPECT_HAS(Problem(phi), "code of its own");
}

TEST_F(ConfigTest, MistralsFormWithoutAContext) {
  TinyCheckpoint checkpoint = MistralNative();
  ordered_json& config = checkpoint.config;
  config.erase("max_seq_len");
  EXPECT_EQ(Convert(checkpoint, "consolidated").metadata().GetInt("llama.context_length"), 128000);
  ASSERT_EQ(notices_.size(), 1u);
  EXPECT_HAS(notices_[0], "128000");
  config["yarn"] = {
      {"factor", 4}, {"beta", 32}, {"alpha", 1}, {"original_max_position_embeddings", 64}};
  const auto attention = [&] {
    return Hparams(Convert(checkpoint, "consolidated")).rope_attn_factor;
  };
  EXPECT_NEAR(attention(), 1, 1e-6);
  config["yarn"]["apply_scale"] = true;
  EXPECT_NEAR(attention(), 1 + 0.1 * std::log(4.0), 1e-6);
  config.erase("n_layers");
  EXPECT_HAS(Problem(checkpoint, Code::kBadInput, "consolidated"),
             "params.json: n_layers: missing");
}

TEST_F(ConfigTest, ManyKeysAreNoWork) {
  TinyCheckpoint checkpoint = TinyLlama();
  std::string text = checkpoint.config.dump();
  text.pop_back();
  for (int i = 0; i < 300'000; ++i) text += ",\"" + std::to_string(i) + "\":0";
  const std::string folder = temp_ / "many";
  checkpoint.Write(folder);
  testing::WriteFile(folder + "/config.json", text + "}");
  ConvertFolder(folder);  // an object that searches all its keys takes minutes
}

}  // namespace
}  // namespace slm::convert
