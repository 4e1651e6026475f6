// What conversion does to tensors and metadata, on a small checkpoint.
#include "convert/convert.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/half.h"
#include "base/thread_pool.h"
#include "compress/quantizer.h"
#include "convert/recipe_target.h"
#include "convert/tiny_checkpoint.h"
#include "format/gguf.h"
#include "kernels/table.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::convert {
namespace {

using format::GgufFile;
using nlohmann::ordered_json;

class ConvertTest : public ::testing::Test {
 protected:
  // Writes the checkpoint into a folder of its own and converts it.
  GgufFile Convert(const TinyCheckpoint& checkpoint, quant::Type type = quant::Type::kF32,
                   const std::string& name = "model.safetensors", bool force = false) {
    const std::string folder = NextFolder();
    checkpoint.Write(folder, name);
    return ConvertFolder(folder, type, force);
  }

  GgufFile ConvertFolder(const std::string& folder, quant::Type type = quant::Type::kF32,
                         bool force = false) {
    ThreadPool pool(2);
    notices_ = ConvertToGguf({.folder = folder,
                              .output = folder + ".gguf",
                              .has_vocab = false,
                              .allows_non_finite = force},
                             RecipeTarget(quant::Traits(type).name), &pool, nullptr);
    ExpectNoTemporaryFiles();
    return GgufFile::Open(folder + ".gguf");
  }

  std::string NextFolder() { return temp_ / ("case" + std::to_string(++cases_)); }

  // The message of the error that converting gives, and its code.
  std::string Problem(const TinyCheckpoint& checkpoint, Code code = Code::kBadInput,
                      const std::string& name = "model.safetensors") {
    const std::string folder = NextFolder();
    checkpoint.Write(folder, name);
    return FolderProblem(folder, code);
  }
  std::string FolderProblem(const std::string& folder, Code code = Code::kBadInput,
                            quant::Type type = quant::Type::kF32) {
    try {
      ConvertFolder(folder, type);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_FALSE(std::filesystem::exists(folder + ".gguf"));
      ExpectNoTemporaryFiles();
      return error.what();
    }
    return "";
  }

  void ExpectNoTemporaryFiles() const {
    for (const auto& entry : std::filesystem::directory_iterator(temp_.path()))
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }

  static std::vector<float> FloatsOf(const GgufFile& file, const std::string& name) {
    const format::GgufTensor& tensor = file.Get(name);
    std::vector<float> values(static_cast<size_t>(tensor.elements));
    quant::Traits(tensor.type).decode(tensor.data.data(), values.data(), tensor.elements);
    return values;
  }

  static bool SameTensors(const GgufFile& a, const GgufFile& b) {
    if (a.tensors().size() != b.tensors().size()) return false;
    for (const format::GgufTensor& tensor : a.tensors()) {
      const format::GgufTensor* other = b.Find(tensor.name);
      if (!other || other->dims != tensor.dims || !std::ranges::equal(other->data, tensor.data))
        return false;
    }
    return true;
  }

  testing::TempFolder temp_;
  int cases_ = 0;
  std::vector<std::string> notices_;
};

#define EXPECT_HAS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << "got: " << (text)

TEST_F(ConvertTest, RowsOfQAndKArePermutedWithinHeads) {
  const TinyCheckpoint checkpoint = TinyLlama();
  const GgufFile file = Convert(checkpoint);
  EXPECT_TRUE(notices_.empty());
  const auto from = Floats(checkpoint.tensors.at("model.layers.1.self_attn.k_proj.weight"));
  const auto to = FloatsOf(file, "blk.1.attn_k.weight");
  for (size_t head = 0; head < 2; ++head)
    for (size_t pair = 0; pair < 4; ++pair)
      for (size_t half = 0; half < 2; ++half)
        for (size_t i = 0; i < 32; ++i)
          EXPECT_EQ(to[(head * 8 + pair * 2 + half) * 32 + i],
                    from[(head * 8 + half * 4 + pair) * 32 + i]);
  EXPECT_EQ(FloatsOf(file, "blk.1.attn_v.weight"),
            Floats(checkpoint.tensors.at("model.layers.1.self_attn.v_proj.weight")));
}

TEST_F(ConvertTest, BiasesArePermutedAsTheirRows) {
  TinyCheckpoint checkpoint = TinyLlama();
  std::vector<float> bias(32);
  for (size_t i = 0; i < 32; ++i) bias[i] = static_cast<float>(i);
  for (const char* layer : {"0", "1"}) {
    const std::string prefix = "model.layers." + std::string(layer) + ".self_attn.";
    checkpoint.tensors[prefix + "q_proj.bias"] = FloatTensor({32}, bias);
  }
  const auto to = FloatsOf(Convert(checkpoint), "blk.0.attn_q.bias");
  EXPECT_EQ((std::vector<float>(to.begin(), to.begin() + 10)),
            (std::vector<float>{0, 4, 1, 5, 2, 6, 3, 7, 8, 12}));
}

TEST_F(ConvertTest, TypesAndFileTypes) {
  const TinyCheckpoint checkpoint = TinyLlama();
  const struct {
    quant::Type type;
    int64_t file_type;
  } kTypes[] = {{quant::Type::kF32, 0},
                {quant::Type::kF16, 1},
                {quant::Type::kQ8_0, 7},
                {quant::Type::kBF16, 32}};
  const GgufFile exact = Convert(checkpoint);
  for (const auto& [type, file_type] : kTypes) {
    const GgufFile file = Convert(checkpoint, type);
    EXPECT_EQ(file.metadata().GetInt("general.file_type"), file_type);
    EXPECT_EQ(file.metadata().GetString("general.size_label"), "22K");
    for (const format::GgufTensor& tensor : file.tensors()) {
      EXPECT_EQ(tensor.type, tensor.num_dims == 1 ? quant::Type::kF32 : type) << tensor.name;
      const auto want = FloatsOf(exact, tensor.name);
      std::vector<uint8_t> bytes(tensor.bytes());
      quant::Traits(tensor.type).encode(want.data(), bytes.data(), tensor.elements);
      EXPECT_TRUE(std::ranges::equal(bytes, tensor.data)) << tensor.name;
    }
  }
}

TEST_F(ConvertTest, ATypeIsThatOfQuantizing) {
  TinyCheckpoint checkpoint = TinyLlama();  // with some rows of 256, for K-types
  checkpoint.config["intermediate_size"] = 256;
  for (const char* layer : {"0", "1"})
    for (const char* name : {"gate", "up", "down"}) {
      const bool is_down = std::string(name) == "down";
      std::vector<float> values(256 * 32);
      for (size_t i = 0; i < values.size(); ++i)
        values[i] = std::sin(static_cast<float>(i * i % 1009));
      checkpoint.At(fmt::format("model.layers.{}.mlp.{}_proj.weight", layer, name)) =
          FloatTensor({is_down ? 32 : 256, is_down ? 256 : 32}, values);
    }
  const std::string folder = NextFolder();
  checkpoint.Write(folder);
  const GgufFile exact = ConvertFolder(folder);
  ThreadPool pool(2);
  for (const char* type : {"Q4_K_M", "Q8_0", "BF16"}) {
    const std::string at_once = temp_ / "at_once.gguf", later = temp_ / "later.gguf";
    ConvertToGguf({.folder = folder, .output = at_once, .has_vocab = false}, RecipeTarget(type),
                  &pool, nullptr);
    compress::QuantizeOptions options;
    options.recipe = &compress::FindRecipe(type);
    compress::QuantizeFile(exact, compress::PlanQuantization(exact, options), options, later,
                           kernels::Kernels(), &pool, nullptr);
    const GgufFile a = GgufFile::Open(at_once), b = GgufFile::Open(later);
    EXPECT_TRUE(SameTensors(a, b)) << type;
    for (const format::GgufTensor& tensor : a.tensors())
      EXPECT_EQ(tensor.type, b.Get(tensor.name).type) << type << " " << tensor.name;
    EXPECT_EQ(a.metadata().GetInt("general.file_type"), b.metadata().GetInt("general.file_type"));
  }
}

TEST_F(ConvertTest, RowsThatBlocksDoNotDivideBecomeF16) {
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.config["intermediate_size"] = 40;
  for (const char* layer : {"0", "1"}) {
    const std::string prefix = "model.layers." + std::string(layer) + ".mlp.";
    checkpoint.At(prefix + "gate_proj.weight") = FloatTensor({40, 32}, std::vector<float>(1280));
    checkpoint.At(prefix + "up_proj.weight") = FloatTensor({40, 32}, std::vector<float>(1280));
    checkpoint.At(prefix + "down_proj.weight") = FloatTensor({32, 40}, std::vector<float>(1280));
  }
  const GgufFile file = Convert(checkpoint, quant::Type::kQ8_0);
  EXPECT_EQ(file.Get("blk.0.ffn_down.weight").type, quant::Type::kF16);
  EXPECT_EQ(file.Get("blk.0.ffn_up.weight").type, quant::Type::kQ8_0);
}

TEST_F(ConvertTest, TiedEmbeddingsHaveNoOutput) {
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.config["tie_word_embeddings"] = true;
  EXPECT_EQ(Convert(checkpoint).Find("output.weight"), nullptr);  // a copy that a trainer saved
  checkpoint.tensors.erase("lm_head.weight");
  EXPECT_EQ(Convert(checkpoint).Find("output.weight"), nullptr);
  checkpoint.config["tie_word_embeddings"] = false;
  EXPECT_HAS(Problem(checkpoint), "'lm_head.weight': missing");
}

TEST_F(ConvertTest, MultimodalCheckpointsGiveTheirTextModel) {
  const TinyCheckpoint text = TinyLlama();
  const GgufFile want = Convert(text);
  for (const char* prefix : {"language_model.", "model.language_model."}) {
    TinyCheckpoint checkpoint;
    checkpoint.config = {{"architectures", {"Mistral3ForConditionalGeneration"}},
                         {"model_type", "mistral3"},
                         {"text_config", text.config}};
    checkpoint.config["text_config"]["model_type"] = "mistral";
    for (const auto& [name, tensor] : text.tensors) {
      const bool in_model = name.starts_with("model.") && prefix[0] == 'm';
      checkpoint.tensors[in_model           ? prefix + name.substr(6)
                         : prefix[0] == 'm' ? name
                                            : prefix + name] = tensor;
    }
    checkpoint.tensors["model.vision_tower.patch_conv.weight"] = FloatTensor({1}, {1});
    checkpoint.tensors["multi_modal_projector.norm.weight"] = FloatTensor({1}, {1});
    const GgufFile file = Convert(checkpoint);
    EXPECT_TRUE(SameTensors(file, want)) << prefix;
    EXPECT_EQ(file.metadata().GetString("general.architecture"), "mistral3");
    ASSERT_EQ(notices_.size(), 1u);
    EXPECT_HAS(notices_[0], "2 tensors of other parts are left out");
  }
}

TEST_F(ConvertTest, MistralsOwnFormHasRowsAsGgufHas) {
  TinyCheckpoint checkpoint = MistralNative();
  const GgufFile file = Convert(checkpoint, quant::Type::kF32, "consolidated.safetensors");
  EXPECT_EQ(file.metadata().GetString("general.architecture"), "llama");
  EXPECT_EQ(FloatsOf(file, "blk.0.attn_q.weight"),
            Floats(checkpoint.At("layers.0.attention.wq.weight")));
  EXPECT_EQ(FloatsOf(file, "blk.1.ffn_up.weight"),
            Floats(checkpoint.At("layers.1.feed_forward.w3.weight")));
  const GgufFile other = Convert(TinyLlama());
  EXPECT_EQ(file.metadata().GetInt("llama.context_length"), 128);
  EXPECT_EQ(file.tensors().size(), other.tensors().size());

  checkpoint.config["yarn"] = {
      {"factor", 16}, {"beta", 32}, {"alpha", 1}, {"original_max_position_embeddings", 64}};
  checkpoint.config["llama_4_scaling"] = {{"beta", 0.1}};
  const GgufFile ministral = Convert(checkpoint, quant::Type::kF32, "consolidated.safetensors");
  const auto& metadata = ministral.metadata();
  EXPECT_EQ(metadata.GetString("general.architecture"), "mistral3");
  EXPECT_EQ(metadata.GetString("mistral3.rope.scaling.type"), "yarn");
  EXPECT_EQ(metadata.GetFloat("mistral3.rope.scaling.factor"), 16.0f);
  EXPECT_EQ(metadata.GetFloat("mistral3.rope.scaling.yarn_beta_fast"), 32.0f);
  EXPECT_EQ(metadata.GetFloat("mistral3.rope.scaling.yarn_log_multiplier"), 1.0f);
  EXPECT_EQ(metadata.GetFloat("mistral3.attention.temperature_scale"), 0.1f);
  EXPECT_EQ(metadata.GetInt("mistral3.rope.scaling.original_context_length"), 64);

  checkpoint.config["moe"] = {{"num_experts", 8}};
  EXPECT_HAS(Problem(checkpoint, Code::kUnsupported, "consolidated.safetensors"), "experts");
}

// E4M3 codes of 1, -2, 0.5, ... in a pattern that scales can be told from.
TinyTensor Fp8Tensor(const std::vector<int64_t>& shape) {
  TinyTensor tensor{.dtype = "F8_E4M3", .shape = shape, .bytes = {}};
  for (int64_t i = 0; i < shape[0] * shape[1]; ++i)
    tensor.bytes.push_back(static_cast<char>(i % 3 == 0 ? 0x38 : i % 3 == 1 ? 0xc0 : 0x30));
  return tensor;
}

TEST_F(ConvertTest, Fp8WeightsAreScaled) {
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.config["quantization_config"] = {{"quant_method", "fp8"},
                                              {"weight_block_size", {24, 16}}};
  checkpoint.At(name) = Fp8Tensor({64, 32});
  EXPECT_HAS(Problem(checkpoint), "scales of its F8_E4M3 weights are missing");

  const auto expect_scaled = [&](const auto& scale_of) {
    const auto values = FloatsOf(Convert(checkpoint), "blk.0.ffn_up.weight");
    constexpr float kValues[] = {1.0f, -2.0f, 0.5f};
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(values[i], kValues[i % 3] * scale_of(i / 32, i % 32)) << i;
  };
  // Blocks of 24 x 16 over 64 x 32: 3 x 2, the last one cut.
  checkpoint.tensors[name + "_scale_inv"] = FloatTensor({3, 2}, {1, 2, 3, 4, 5, 6});
  expect_scaled([](size_t r, size_t c) { return static_cast<float>(r / 24 * 2 + c / 16 + 1); });
  checkpoint.tensors[name + "_scale_inv"] = FloatTensor({}, {0.25f});
  checkpoint.tensors["model.layers.0.mlp.up_proj.activation_scale"] = FloatTensor({}, {9});
  expect_scaled([](size_t, size_t) { return 0.25f; });
  checkpoint.tensors[name + "_scale_inv"] = FloatTensor({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_HAS(Problem(checkpoint), "expected shape [3, 2] for blocks of [24, 16], got [2, 3]");
  checkpoint.tensors.erase(name + "_scale_inv");
  std::vector<float> rows(64);
  for (size_t i = 0; i < 64; ++i) rows[i] = static_cast<float>(i);
  checkpoint.tensors[name + "_scale"] = FloatTensor({64, 1}, rows);
  expect_scaled([](size_t r, size_t) { return static_cast<float>(r); });

  // compressed-tensors has the block elsewhere.
  checkpoint.config["quantization_config"] = {
      {"quant_method", "compressed-tensors"},
      {"format", "float-quantized"},
      {"config_groups", {{"group_0", {{"weights", {{"block_structure", {24, 16}}}}}}}}};
  checkpoint.tensors[name + "_scale"] = FloatTensor({3, 2}, {1, 2, 3, 4, 5, 6});
  expect_scaled([](size_t r, size_t c) { return static_cast<float>(r / 24 * 2 + c / 16 + 1); });

  checkpoint.config["quantization_config"].erase("config_groups");
  checkpoint.tensors[name + "_scale"] = FloatTensor({3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_HAS(Problem(checkpoint), "no weight_block_size");
}

TEST_F(ConvertTest, PermutedFp8RowsKeepTheirScales) {
  const std::string name = "model.layers.0.self_attn.q_proj.weight";
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.config["quantization_config"] = {{"quant_method", "fp8"}};
  TinyTensor ones{.dtype = "F8_E4M3", .shape = {32, 32}, .bytes = std::string(1024, 0x38)};
  checkpoint.At(name) = ones;
  std::vector<float> rows(32);
  for (size_t i = 0; i < 32; ++i) rows[i] = static_cast<float>(i);
  checkpoint.tensors[name + "_scale"] = FloatTensor({32}, rows);
  const auto values = FloatsOf(Convert(checkpoint), "blk.0.attn_q.weight");
  EXPECT_EQ(values[0 * 32], 0.0f);
  EXPECT_EQ(values[1 * 32], 4.0f);
  EXPECT_EQ(values[2 * 32], 1.0f);
}

TEST_F(ConvertTest, GeneralMetadata) {
  const std::string folder = temp_ / "Tiny-17K-Instruct";
  TinyLlama().Write(folder);
  testing::WriteFile(folder + "/README.md",
                     "---\nlicense: mit\nbase_model: some-org/Base-17K\ntags:\n- x\n"
                     "pipeline_tag: text-generation\nlanguage: [en, de]\ndatasets:\n- a/b\n---\n");
  testing::WriteFile(folder + "/generation_config.json",
                     R"({"top_k": 20, "top_p": 0.8, "temperature": 0.7, "eos_token_id": [1, 2]})");
  const GgufFile file = ConvertFolder(folder);
  const auto& m = file.metadata();
  EXPECT_EQ(m.GetString("general.name"), "Tiny 17K Instruct");
  EXPECT_EQ(m.GetString("general.basename"), "Tiny");
  EXPECT_EQ(m.GetString("general.finetune"), "Instruct");
  EXPECT_EQ(m.GetString("general.size_label"), "17K");
  EXPECT_EQ(m.GetString("general.license"), "mit");
  EXPECT_EQ(m.GetInt("general.base_model.count"), 1);
  EXPECT_EQ(m.GetString("general.base_model.0.name"), "Base 17K");
  EXPECT_EQ(m.GetString("general.base_model.0.organization"), "Some Org");
  EXPECT_EQ(m.GetString("general.base_model.0.repo_url"),
            "https://huggingface.co/some-org/Base-17K");
  EXPECT_EQ(m.GetStrings("general.tags"), (std::vector<std::string_view>{"x", "text-generation"}));
  EXPECT_EQ(m.GetStrings("general.languages"), (std::vector<std::string_view>{"en", "de"}));
  EXPECT_EQ(m.GetInt("general.sampling.top_k"), 20);
  EXPECT_EQ(m.GetFloat("general.sampling.top_p"), 0.8f);
  EXPECT_EQ(m.GetFloat("general.sampling.temp"), 0.7f);
  EXPECT_EQ(m.GetInt("general.quantization_version"), 2);
  EXPECT_EQ(m.GetString("tokenizer.ggml.model"), "no_vocab");
}

TEST_F(ConvertTest, DefaultsOfTheClassFillTheConfig) {
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.config.erase("rope_theta");
  checkpoint.config["num_key_value_heads"] = nullptr;
  for (const char* layer : {"0", "1"})
    for (const char* name : {"k_proj", "v_proj"})
      checkpoint.At(fmt::format("model.layers.{}.self_attn.{}.weight", layer, name)) =
          FloatTensor({32, 32}, std::vector<float>(1024));
  const GgufFile file = Convert(checkpoint);
  EXPECT_EQ(file.metadata().GetFloat("llama.rope.freq_base"), 10000.0f);
  EXPECT_EQ(file.metadata().GetInt("llama.attention.head_count_kv"), 4);
}

TEST_F(ConvertTest, WhatIsNotCarriedOverIsSaid) {
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.config["sliding_window"] = 64;
  Convert(checkpoint);
  ASSERT_EQ(notices_.size(), 1u);
  EXPECT_HAS(notices_[0], "sliding_window of 64");
  checkpoint.config.erase("sliding_window");
  checkpoint.config["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2.0}};
  Convert(checkpoint);
  ASSERT_EQ(notices_.size(), 1u);
  EXPECT_HAS(notices_[0], "dynamic rope scaling");
}

// Bad input, from here on.

TEST_F(ConvertTest, TensorsAndConfigMustAgree) {
  const auto problem = [&](const auto& spoil, Code code = Code::kBadInput) {
    TinyCheckpoint checkpoint = TinyLlama();
    spoil(checkpoint);
    return Problem(checkpoint, code);
  };
  const std::string up = "model.layers.1.mlp.up_proj.weight";
  EXPECT_HAS(problem([&](auto& c) { c.tensors.erase(up); }), "'" + up + "': missing");
  EXPECT_HAS(problem([&](auto& c) { c.tensors["language_model." + up] = c.At(up); }),
             "there twice");
  EXPECT_HAS(problem([&](auto& c) {
               c.At(up).shape = {32, 64};
             }),
             "expected shape [64, 32] as config.json has it, got [32, 64]");
  EXPECT_HAS(problem([&](auto& c) { c.config["vocab_size"] = 50; }), "expected shape [50, 32]");
  EXPECT_HAS(problem([&](auto& c) { c.config["num_hidden_layers"] = 1; }),
             "not part of a model of 1 layers of llama");
  EXPECT_HAS(problem([&](auto& c) { c.config["num_hidden_layers"] = 3; }), "layers.2.");
  EXPECT_HAS(problem([&](auto& c) { c.tensors["more"] = FloatTensor({1}, {0}); }),
             "'more': not part of");
  EXPECT_HAS(problem([&](auto& c) {
               c.tensors["model.layers.0.self_attn.q_norm.weight"] =
                   FloatTensor({8}, std::vector<float>(8));
             }),
             "not part of");
  EXPECT_HAS(problem([&](auto& c) {
               c.tensors["model.layers.1.self_attn.q_proj.bias"] =
                   FloatTensor({32}, std::vector<float>(32));
             }),
             "missing in the layers before");
  EXPECT_HAS(problem([&](auto& c) {
               c.tensors["model.layers.0.self_attn.q_proj.bias"] =
                   FloatTensor({32}, std::vector<float>(32));
             }),
             "layers.1.self_attn.q_proj.bias': missing");
  EXPECT_HAS(problem(
                 [&](auto& c) {
                   c.At(up).dtype = "I8";
                   c.At(up).bytes.resize(64 * 32);
                 },
                 Code::kUnsupported),
             "F8_E4M3, got I8");
}

TEST_F(ConvertTest, ConfigsAreChecked) {
  const auto problem = [&](const char* key, ordered_json value, Code code = Code::kBadInput) {
    TinyCheckpoint checkpoint = TinyLlama();
    checkpoint.config[key] = std::move(value);
    return Problem(checkpoint, code);
  };
  EXPECT_HAS(problem("num_hidden_layers", -1), "num_hidden_layers");
  EXPECT_HAS(problem("num_hidden_layers", 1e18), "num_hidden_layers");
  EXPECT_HAS(problem("num_hidden_layers", 100000), "expected 1 to 16384");
  EXPECT_HAS(problem("hidden_size", "32"), "hidden_size: expected an integer, got string");
  EXPECT_HAS(problem("hidden_size", nullptr), "hidden_size: missing");
  EXPECT_HAS(problem("hidden_size", 33), "does not divide hidden_size");
  EXPECT_HAS(problem("num_attention_heads", 0), "expected 1 to");
  EXPECT_HAS(problem("num_key_value_heads", 3), "3 does not divide the 4 heads");
  EXPECT_HAS(problem("head_dim", 7), "even number");
  EXPECT_HAS(problem("rms_norm_eps", ordered_json::array()), "expected a number");
  EXPECT_HAS(problem("text_config", 1), "expected an object");
  EXPECT_HAS(problem("rope_scaling", {{"rope_type", "yarn"}}), "rope_scaling.factor: missing");
  EXPECT_HAS(
      problem("rope_scaling",
              {{"rope_type", "llama3"}, {"original_max_position_embeddings", 64}, {"factor", 8}}),
      "low_freq_factor: missing");
  EXPECT_HAS(problem("rope_scaling", {{"rope_type", "new"}}, Code::kUnsupported),
             "rope scaling \"new\"");
  EXPECT_HAS(problem("rope_scaling", {{"rope_type", "longrope"}}, Code::kUnsupported), "longrope");
  EXPECT_HAS(problem("architectures", nullptr), "architectures");
  EXPECT_HAS(problem("architectures", {1}), "architectures");
  const std::string unknown = problem("architectures", {"MambaForCausalLM"}, Code::kUnsupported);
  EXPECT_HAS(unknown, "unknown architecture \"MambaForCausalLM\"");
  EXPECT_HAS(unknown, "Qwen3ForCausalLM");
  EXPECT_HAS(problem("model_type", "mixtral", Code::kUnsupported), "model_type \"mixtral\"");
}

TEST_F(ConvertTest, QuantizedCheckpointsAreRefusedByName) {
  for (const char* method : {"gptq", "awq", "bitsandbytes", "mxfp4"}) {
    TinyCheckpoint checkpoint = TinyLlama();
    checkpoint.config["quantization_config"] = {{"quant_method", method}};
    EXPECT_HAS(Problem(checkpoint, Code::kUnsupported), std::string("quantized with ") + method);
  }
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.config["quantization_config"] = {{"quant_method", "compressed-tensors"},
                                              {"format", "pack-quantized"}};
  EXPECT_HAS(Problem(checkpoint, Code::kUnsupported), "pack-quantized");
  checkpoint.config.erase("quantization_config");
  checkpoint.tensors["model.layers.0.mlp.up_proj.qweight"] = FloatTensor({1}, {0});
  EXPECT_HAS(Problem(checkpoint, Code::kUnsupported), "GPTQ or AWQ");
}

TEST_F(ConvertTest, CodeOfTheCheckpointsOwnIsRefused) {
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.config["auto_map"] = {{"AutoConfig", "configuration_x.XConfig"},
                                   {"AutoModelForCausalLM", "modeling_x.LlamaForCausalLM"}};
  EXPECT_HAS(Problem(checkpoint, Code::kUnsupported), "modeling_x.LlamaForCausalLM");
  checkpoint.config["architectures"] = {"XForCausalLM"};
  EXPECT_HAS(Problem(checkpoint, Code::kUnsupported), "code of its own");
  // What transformers took in under the same names.
  checkpoint.config["architectures"] = {"LlamaForCausalLM"};
  checkpoint.config["auto_map"] = {{"AutoModelForCausalLM", "modeling_llama.LlamaForCausalLM"}};
  EXPECT_EQ(Problem(checkpoint), "");
}

TEST_F(ConvertTest, WeightsMustBeFinite) {
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    TinyCheckpoint checkpoint = TinyLlama();
    TinyTensor& tensor = checkpoint.At("model.layers.1.self_attn.k_proj.weight");
    std::memcpy(tensor.bytes.data() + 400, &value, 4);
    EXPECT_HAS(Problem(checkpoint), "'model.layers.1.self_attn.k_proj.weight': expected finite");
    const GgufFile file = Convert(checkpoint, quant::Type::kF32, "model.safetensors", true);
    const auto values = FloatsOf(file, "blk.1.attn_k.weight");
    EXPECT_EQ(std::count_if(values.begin(), values.end(), [](float v) { return std::isfinite(v); }),
              16 * 32 - 1);
  }
}

TEST_F(ConvertTest, WhatF16CannotHoldIsNamed) {
  TinyCheckpoint checkpoint = TinyLlama();
  const float value = 1e5f;
  std::memcpy(checkpoint.At("lm_head.weight").bytes.data(), &value, 4);
  const std::string folder = NextFolder();
  checkpoint.Write(folder);
  EXPECT_HAS(FolderProblem(folder, Code::kBadInput, quant::Type::kF16), "output.weight");
  EXPECT_EQ(FolderProblem(folder, Code::kBadInput, quant::Type::kBF16), "");
}

TEST_F(ConvertTest, FoldersMustHoldACheckpoint) {
  EXPECT_HAS(FolderProblem(temp_ / "missing"), "expected a folder with a checkpoint");
  testing::WriteFile(temp_ / "empty/x", "");
  EXPECT_HAS(FolderProblem(temp_ / "empty"), "expected config.json and model.safetensors");
  testing::WriteFile(temp_ / "config/config.json", "[]");
  EXPECT_HAS(FolderProblem(temp_ / "config"), "expected a JSON object");
  testing::WriteFile(temp_ / "cut/config.json", R"({"architectures": ["Llama)");
  EXPECT_HAS(FolderProblem(temp_ / "cut"), "not JSON");
  testing::WriteFile(temp_ / "weights/config.json", TinyLlama().config.dump());
  EXPECT_HAS(FolderProblem(temp_ / "weights", Code::kFailed), "model.safetensors: cannot open");
}

TEST_F(ConvertTest, OutputMustNotBeAnInput) {
  const std::string folder = NextFolder();
  TinyLlama().Write(folder);
  const std::string before = testing::ReadFile(folder + "/model.safetensors");
  testing::WriteFile(folder + "/tokenizer.json", "{}");
  testing::WriteFile(folder + "/additional_chat_templates/x.jinja", "{}");
  ThreadPool pool(1);
  std::filesystem::create_symlink(folder + "/model.safetensors", temp_ / "link.gguf");
  for (const std::string& output :
       {folder + "/model.safetensors", temp_ / "link.gguf", folder, folder + "/config.json",
        folder + "/tokenizer.json", folder + "/additional_chat_templates/x.jinja"}) {
    try {
      ConvertToGguf({.folder = folder, .output = output, .has_vocab = false}, RecipeTarget("F16"),
                    &pool, nullptr);
      ADD_FAILURE() << output;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUsage) << error.what();
    }
  }
  EXPECT_EQ(testing::ReadFile(folder + "/model.safetensors"), before);
  for (int i = 0; i < 2; ++i)  // over a result
    ConvertToGguf({.folder = folder, .output = folder + "/m.gguf", .has_vocab = false},
                  RecipeTarget("F16"), &pool, nullptr);
}

TEST_F(ConvertTest, FullDiskLeavesNothing) {
  const std::string folder = NextFolder();
  TinyLlama().Write(folder);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small = {20000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string problem = FolderProblem(folder, Code::kFailed);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_HAS(problem, "cannot write");
}

TEST_F(ConvertTest, AFolderWithoutATokenizerSaysSo) {
  const std::string folder = NextFolder();
  TinyLlama().Write(folder);
  ThreadPool pool(1);
  try {
    ConvertToGguf({.folder = folder, .output = folder + ".gguf"}, RecipeTarget("F16"), &pool,
                  nullptr);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_HAS(error.what(), "--no-vocab");
  }
  EXPECT_FALSE(std::filesystem::exists(folder + ".gguf"));
}

}  // namespace
}  // namespace slm::convert
