#include "convert/hf_export.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/half.h"
#include "format/gguf.h"
#include "format/gguf_writer.h"
#include "format/safetensors.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::convert {
namespace {

namespace fs = std::filesystem;
using format::GgufFile;
using format::Safetensors;
using nlohmann::json;
using quant::Type;
using testing::TempFolder;
using testing::WriteTinyModel;

HfExportResult Export(const std::string& input, const std::string& folder, int bits = 0,
                      int64_t group_size = 32) {
  HfExportOptions options;
  options.input = input;
  options.folder = folder;
  options.bits = bits;
  options.group_size = group_size;
  options.threads = 2;
  options.notice = [](const std::string&) {};
  return ExportHf(options);
}

// The message; checks the code.
std::string ErrorOf(Code code, const std::string& input, const std::string& folder, int bits = 0,
                    int64_t group_size = 32) {
  try {
    Export(input, folder, bits, group_size);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

json Config(const std::string& folder) {
  return json::parse(testing::ReadFile(folder + "/config.json"));
}

std::vector<float> Floats(const Safetensors& file, const std::string& name) {
  const auto* tensor = file.Find(name);
  if (!tensor) throw std::runtime_error("no tensor " + name);
  std::vector<float> values(static_cast<size_t>(tensor->elements));
  tensor->type->decode(tensor->data.data(), values.data(), tensor->elements);
  return values;
}

std::vector<float> Floats(const GgufFile& file, const std::string& name) {
  const auto& tensor = file.Get(name);
  std::vector<float> values(static_cast<size_t>(tensor.elements));
  quant::Traits(tensor.type).decode(tensor.data.data(), values.data(), tensor.elements);
  return values;
}

// The file with a key or a tensor's data changed.
std::string Changed(
    const std::string& path, const std::string& to,
    const std::function<void(format::GgufWriter*)>& change,
    const std::function<void(const std::string&, std::vector<uint8_t>*)>& data = {}) {
  const GgufFile file = GgufFile::Open(path);
  format::GgufWriter writer(to);
  writer.CopyAll(file.metadata());
  change(&writer);
  for (const auto& t : file.tensors())
    writer.Declare(t.name, t.type, std::span(t.dims).first(static_cast<size_t>(t.num_dims)));
  for (const auto& t : file.tensors()) {
    std::vector<uint8_t> bytes(t.data.begin(), t.data.end());
    if (data) data(t.name, &bytes);
    writer.Append(bytes);
  }
  writer.Finish();
  return to;
}

TEST(HfExport, PermutedRowsGoBack) {
  const TempFolder folder;
  const std::string path = WriteTinyModel({.arch = "llama"});
  EXPECT_EQ(Export(path, folder / "hf").bits, 32);
  const GgufFile gguf = GgufFile::Open(path);
  const Safetensors hf = Safetensors::OpenFolder(folder / "hf");
  const auto from = Floats(gguf, "blk.1.attn_k.weight");
  const auto to = Floats(hf, "model.layers.1.self_attn.k_proj.weight");
  constexpr size_t kHead = 32, kRow = 96;
  ASSERT_EQ(from.size(), 2 * kHead * kRow);
  // llama.cpp's converter: reshape(heads, 2, Dh / 2, in).swapaxes(1, 2).
  for (size_t head = 0; head < 2; ++head)
    for (size_t half = 0; half < 2; ++half)
      for (size_t i = 0; i < kHead / 2; ++i)
        EXPECT_EQ(std::memcmp(&to[(head * kHead + half * kHead / 2 + i) * kRow],
                              &from[(head * kHead + i * 2 + half) * kRow], kRow * sizeof(float)),
                  0);
  EXPECT_EQ(Floats(hf, "model.layers.1.self_attn.v_proj.weight"),
            Floats(gguf, "blk.1.attn_v.weight"));
  EXPECT_EQ(Floats(hf, "model.norm.weight"), Floats(gguf, "output_norm.weight"));
  EXPECT_EQ(hf.tensors().size(), gguf.tensors().size());
  EXPECT_EQ(Config(folder / "hf")["tie_word_embeddings"], true);
  EXPECT_EQ(Config(folder / "hf")["model_type"], "llama");
}

TEST(HfExport, NormsLoseTheirOne) {
  const TempFolder folder;
  const std::string path = WriteTinyModel({.arch = "gemma2"});
  Export(path, folder / "hf");
  const auto from = Floats(GgufFile::Open(path), "blk.0.post_ffw_norm.weight");
  const auto to = Floats(Safetensors::OpenFolder(folder / "hf"),
                         "model.layers.0.post_feedforward_layernorm.weight");
  for (size_t i = 0; i < from.size(); ++i) EXPECT_EQ(to[i], from[i] - 1.0f);
  const json config = Config(folder / "hf");
  EXPECT_EQ(config["layer_types"],
            json::parse(R"(["sliding_attention","full_attention","sliding_attention"])"));
  EXPECT_EQ(config["sliding_window"], 100);
}

TEST(HfExport, RoundingOfHalvesIsSaid) {
  const TempFolder folder;
  std::vector<std::string> notices;
  HfExportOptions options;
  options.input = WriteTinyModel({.arch = "llama", .type = Type::kF16});
  options.folder = folder / "hf";
  options.threads = 2;
  options.notice = [&](const std::string& text) { notices.push_back(text); };
  const auto is_said = [&] {
    notices.clear();
    ExportHf(options);
    return std::any_of(notices.begin(), notices.end(), [](const std::string& text) {
      return text.find("F16 is rounded to bfloat16") != std::string::npos;
    });
  };
  EXPECT_TRUE(is_said());
  options.bits = 16;  // asked for
  EXPECT_FALSE(is_said());
  options.bits = 32;
  EXPECT_FALSE(is_said());
}

TEST(HfExport, SixteenBits) {
  const TempFolder folder;
  const std::string path = WriteTinyModel({.arch = "llama", .type = Type::kQ8_0});
  EXPECT_EQ(Export(path, folder / "hf").bits, 16);
  const auto from = Floats(GgufFile::Open(path), "blk.0.ffn_down.weight");
  const Safetensors hf = Safetensors::OpenFolder(folder / "hf");
  EXPECT_STREQ(hf.Find("model.layers.0.mlp.down_proj.weight")->type->name, "BF16");
  const auto to = Floats(hf, "model.layers.0.mlp.down_proj.weight");
  for (size_t i = 0; i < from.size(); ++i) EXPECT_EQ(to[i], BfloatToFloat(FloatToBfloat(from[i])));
  EXPECT_EQ(Config(folder / "hf")["torch_dtype"], "bfloat16");
}

TEST(HfExport, FourBitsCarryQ4_0Over) {
  const TempFolder folder;
  const std::string path = WriteTinyModel({.arch = "llama", .type = Type::kQ4_0});
  const HfExportResult result = Export(path, folder / "hf", 4);
  EXPECT_EQ(result.exact, 14);
  EXPECT_EQ(result.rounded, 0);
  const Safetensors hf = Safetensors::OpenFolder(folder / "hf");
  const std::string name = "model.layers.0.self_attn.v_proj.";
  const auto* packed = hf.Find(name + "weight_packed");
  const auto* scales = hf.Find(name + "weight_scale");
  const auto* shape = hf.Find(name + "weight_shape");
  ASSERT_TRUE(packed && scales && shape);
  EXPECT_EQ(packed->shape, (std::vector<int64_t>{64, 12}));
  EXPECT_EQ(scales->shape, (std::vector<int64_t>{64, 3}));
  int64_t dims[2];
  std::memcpy(dims, shape->data.data(), sizeof dims);
  EXPECT_EQ(dims[0], 64);
  EXPECT_EQ(dims[1], 96);
  const auto expected = Floats(GgufFile::Open(path), "blk.0.attn_v.weight");
  for (size_t i = 0; i < expected.size(); ++i) {
    const int code = packed->data[i / 2] >> (i % 2 * 4) & 15;
    uint16_t scale;
    std::memcpy(&scale, scales->data.data() + i / 32 * 2, sizeof scale);
    ASSERT_EQ(HalfToFloat(scale) * static_cast<float>(code - 8), expected[i]) << i;
  }
  // What is not packed keeps its value.
  EXPECT_EQ(Floats(hf, "model.embed_tokens.weight"),
            Floats(GgufFile::Open(path), "token_embd.weight"));
  const json q = Config(folder / "hf")["quantization_config"];
  EXPECT_EQ(q["quant_method"], "compressed-tensors");
  EXPECT_EQ(q["format"], "pack-quantized");
  EXPECT_EQ(q["config_groups"]["group_0"]["weights"]["group_size"], 32);
  EXPECT_EQ(q["ignore"], json::parse(R"(["lm_head"])"));
}

TEST(HfExport, FourBitsRoundOtherTypes) {
  const TempFolder folder;
  const HfExportResult result =
      Export(WriteTinyModel({.arch = "llama", .type = Type::kQ8_0}), folder / "hf", 4);
  EXPECT_EQ(result.exact, 0);
  EXPECT_EQ(result.rounded, 14);
  EXPECT_STREQ(Safetensors::OpenFolder(folder / "hf").Find("model.embed_tokens.weight")->type->name,
               "F16");
  const std::string message =
      ErrorOf(Code::kUnsupported, WriteTinyModel({.arch = "llama", .type = Type::kQ4_0}),
              folder / "wide", 4, 128);
  EXPECT_NE(message.find("rows of 96 elements"), std::string::npos) << message;
  EXPECT_NE(message.find("--group-size 32"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(folder / "wide"));
}

TEST(HfExport, SamplingDefaultsAndEnds) {
  const TempFolder folder;
  const std::string path =
      Changed(WriteTinyModel({.arch = "llama"}), folder / "m.gguf", [](format::GgufWriter* w) {
        w->Set<float>("general.sampling.temp", 0.6f);
        w->Set<int32_t>("general.sampling.top_k", 20);
        w->Set<float>("general.sampling.top_p", 0.95f);
        w->Set<float>("general.sampling.penalty_repeat", 1.1f);
      });
  Export(path, folder / "hf");
  const json config = json::parse(testing::ReadFile(folder / "hf/generation_config.json"));
  EXPECT_EQ(config, json::parse(R"({"bos_token_id":256,"eos_token_id":[257,259],"do_sample":true,
      "temperature":0.6,"top_k":20,"top_p":0.95,"repetition_penalty":1.1})"));
}

TEST(HfExport, RopeScalings) {
  const TempFolder folder;
  const auto scaling = [&](const char* arch, const std::function<void(format::GgufWriter*)>& set) {
    Export(Changed(WriteTinyModel({.arch = arch}), folder / "m.gguf", set), folder / "hf");
    const json config = Config(folder / "hf");
    return config.contains("rope_scaling") ? config["rope_scaling"] : config["rope_parameters"];
  };
  EXPECT_EQ(scaling("llama", [](auto*) {}), json());
  EXPECT_EQ(scaling("llama", [](auto* w) { w->template Set<float>("llama.rope.scale_linear", 4); }),
            json::parse(R"({"rope_type":"linear","factor":4.0})"));
  const auto yarn = [](const std::string& arch, format::GgufWriter* w) {
    w->SetString(arch + ".rope.scaling.type", "yarn");
    w->Set<float>(arch + ".rope.scaling.factor", 4);
    w->Set<uint32_t>(arch + ".rope.scaling.original_context_length", 1024);
  };
  EXPECT_EQ(scaling("llama", [&](auto* w) { yarn("llama", w); }),
            json::parse(R"({"rope_type":"yarn","factor":4.0,"beta_fast":32.0,"beta_slow":1.0,
                            "original_max_position_embeddings":1024})"));
  EXPECT_EQ(scaling("mistral3",
                    [&](auto* w) {
                      yarn("mistral3", w);
                      w->template Set<float>("mistral3.rope.scaling.yarn_log_multiplier", 1);
                      w->template Set<float>("mistral3.attention.temperature_scale", 0.1f);
                    }),
            json::parse(R"({"rope_type":"yarn","factor":4.0,"beta_fast":32.0,"beta_slow":1.0,
                            "original_max_position_embeddings":1024,"mscale":1.0,
                            "mscale_all_dim":1.0,"rope_theta":10000.0,
                            "llama_4_scaling_beta":0.1})"));
}

TEST(HfExport, MistralHasTheWindowThatLlamaLacks) {
  const TempFolder folder;
  Export(Changed(WriteTinyModel({.arch = "llama"}), folder / "m.gguf",
                 [](auto* w) { w->template Set<uint32_t>("llama.attention.sliding_window", 64); }),
         folder / "hf");
  const json config = Config(folder / "hf");
  EXPECT_EQ(config["architectures"], json::parse(R"(["MistralForCausalLM"])"));
  EXPECT_EQ(config["model_type"], "mistral");
  EXPECT_EQ(config["sliding_window"], 64);
}

TEST(HfExport, Folders) {
  const TempFolder folder;
  const std::string path = WriteTinyModel({.arch = "llama"});
  const std::string hf = folder / "a/hf";
  Export(path, hf);
  Export(path, hf, 16);  // over our own
  EXPECT_EQ(Config(hf)["torch_dtype"], "bfloat16");
  fs::create_directory(folder / "empty");
  Export(path, folder / "empty");
  for (const auto& entry : fs::recursive_directory_iterator(folder.path()))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();

  // Shards of an earlier conversion do not stay.
  testing::WriteFile(hf + "/model-00001-of-00002.safetensors", "x");
  Export(path, hf);
  EXPECT_FALSE(fs::exists(hf + "/model-00001-of-00002.safetensors"));

  // Nor do their templates, which transformers would load.
  testing::WriteFile(hf + "/additional_chat_templates/tool_use.jinja", "x");
  Export(path, hf);
  EXPECT_FALSE(fs::exists(hf + "/additional_chat_templates"));

  testing::WriteFile(hf + "/additional_chat_templates/notes.txt", "mine");
  ErrorOf(Code::kUsage, path, hf);
  fs::remove_all(hf + "/additional_chat_templates");
  testing::WriteFile(hf + "/notes.txt", "mine");
  const std::string foreign_file = ErrorOf(Code::kUsage, path, hf);
  EXPECT_NE(foreign_file.find("notes.txt"), std::string::npos) << foreign_file;
  testing::WriteFile(folder / "theirs/config.json", "{}");
  const std::string theirs = ErrorOf(Code::kUsage, path, folder / "theirs");
  EXPECT_NE(theirs.find("did not make"), std::string::npos) << theirs;
  EXPECT_EQ(testing::ReadFile(folder / "theirs/config.json"), "{}");
  ErrorOf(Code::kUsage, path, path);  // onto the input
  ErrorOf(Code::kUsage, path, folder / "none", 8);
  ErrorOf(Code::kUsage, path, folder / "none", 4, 64);
  EXPECT_FALSE(fs::exists(folder / "none"));
}

TEST(HfExport, FullDiskLeavesWhatWasThere) {
  const TempFolder folder;
  const std::string path = WriteTinyModel({.arch = "llama"});
  Export(path, folder / "old", 16);
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  // Full at once, and full when the last bytes are flushed.
  for (const uintmax_t size :
       {uintmax_t{1} << 16, fs::file_size(folder / "old/model.safetensors") - 1}) {
    rlimit small = old;
    small.rlim_cur = size;
    setrlimit(RLIMIT_FSIZE, &small);
    ErrorOf(Code::kFailed, path, folder / "new", 16);
    ErrorOf(Code::kFailed, path, folder / "old", 16);
    setrlimit(RLIMIT_FSIZE, &old);
  }
  std::signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(fs::exists(folder / "new"));
  EXPECT_EQ(Config(folder / "old")["torch_dtype"], "bfloat16");
  Safetensors::OpenFolder(folder / "old");
  for (const auto& entry : fs::directory_iterator(folder / "old"))
    EXPECT_NE(entry.path().extension(), ".tmp");
}

TEST(HfExport, RefusesWhatTheClassLacks) {
  const TempFolder folder;
  const std::string out = folder / "hf";
  // The tiny Qwen 2 has no biases, the tiny Phi-3 is not fused.
  EXPECT_NE(ErrorOf(Code::kBadInput, WriteTinyModel({.arch = "qwen2"}), out)
                .find("blk.0.attn_q.bias: missing"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Code::kUnsupported, WriteTinyModel({.arch = "phi3"}), out)
                .find("blk.0.attn_q.weight: Phi3ForCausalLM"),
            std::string::npos);
  const auto refused = [&](const char* arch, const std::function<void(format::GgufWriter*)>& set) {
    const std::string path = Changed(WriteTinyModel({.arch = arch}), folder / "m.gguf", set);
    return ErrorOf(Code::kUnsupported, path, out);
  };
  EXPECT_NE(
      refused("llama", [](auto* w) { w->template Set<uint32_t>("llama.rope.dimension_count", 16); })
          .find("16 of the 32 dimensions"),
      std::string::npos);
  refused("llama", [](auto* w) { w->template Set<float>("llama.final_logit_softcapping", 30); });
  refused("llama", [](auto* w) { w->template Set<float>("llama.rope.scaling.attn_factor", 2); });
  refused("llama", [](auto* w) { w->SetString("tokenizer.ggml.model", "t5"); });
  EXPECT_FALSE(fs::exists(out));
}

TEST(HfExport, NamesWeightsThatAreNotFinite) {
  const TempFolder folder;
  for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    const std::string path = Changed(
        WriteTinyModel({.arch = "llama"}), folder / "m.gguf", [](auto*) {},
        [&](const std::string& name, std::vector<uint8_t>* data) {
          if (name == "blk.1.ffn_up.weight")
            std::memcpy(data->data() + 3 * 96 * 4 + 20, &bad, sizeof bad);
        });
    const std::string message = ErrorOf(Code::kBadInput, path, folder / "hf");
    EXPECT_NE(message.find("blk.1.ffn_up.weight: row 3"), std::string::npos) << message;
    EXPECT_FALSE(fs::exists(folder / "hf"));
  }
}

// The checkpoints that llama.cpp's converter made these files from.
class TinyCheckpoint : public ::testing::TestWithParam<const char*> {};

TEST_P(TinyCheckpoint, ComesBack) {
  const std::string family = GetParam();
  SLM_DATA_OR_SKIP(data, "tiny/" + family);
  const TempFolder folder;
  EXPECT_EQ(Export(data + "/model-f32.gguf", folder / "hf").bits, 32);
  const Safetensors made = Safetensors::OpenFolder(folder / "hf");
  const Safetensors original = Safetensors::OpenFolder(data + "/hf");
  ASSERT_EQ(made.tensors().size(), original.tensors().size());
  for (const auto& tensor : original.tensors()) {
    const auto* other = made.Find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    EXPECT_EQ(other->shape, tensor.shape) << tensor.name;
    const bool is_folded =
        family.starts_with("gemma") && tensor.name.find("norm.") != std::string::npos;
    const auto a = Floats(made, tensor.name), b = Floats(original, tensor.name);
    if (!is_folded) {
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * 4), 0) << tensor.name;
    }
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 0x1p-24) << tensor.name;
  }
  // What both say is the same, in the old spelling of rope.
  json config = Config(folder / "hf"),
       expected = json::parse(testing::ReadFile(data + "/hf/config.json"));
  for (const char* key : {"architectures",
                          "model_type",
                          "hidden_size",
                          "intermediate_size",
                          "num_hidden_layers",
                          "num_attention_heads",
                          "num_key_value_heads",
                          "head_dim",
                          "rms_norm_eps",
                          "vocab_size",
                          "max_position_embeddings",
                          "tie_word_embeddings",
                          "bos_token_id",
                          "eos_token_id",
                          "layer_types",
                          "sliding_window",
                          "query_pre_attn_scalar",
                          "attn_logit_softcapping",
                          "final_logit_softcapping",
                          "hidden_act",
                          "hidden_activation",
                          "original_max_position_embeddings"})
    if (expected.contains(key)) {
      EXPECT_EQ(config[key], expected[key]) << key;
    }
  json rope = expected["rope_parameters"];
  if (rope.contains("full_attention")) {
    EXPECT_EQ(config["rope_local_base_freq"], rope["sliding_attention"]["rope_theta"]);
    rope = json(rope["full_attention"]);
  }
  if (config.contains("rope_parameters")) {
    EXPECT_EQ(config["rope_parameters"], rope);
    return;
  }
  EXPECT_EQ(config["rope_theta"], rope["rope_theta"]);
  if (rope["rope_type"] == "default") {
    EXPECT_TRUE(config["rope_scaling"].is_null());
    return;
  }
  for (const auto& [key, value] : config["rope_scaling"].items())
    EXPECT_EQ(value, rope[key == "type" ? "rope_type" : key]) << key;
}

INSTANTIATE_TEST_SUITE_P(All, TinyCheckpoint,
                         ::testing::Values("llama", "qwen2", "qwen3", "phi4", "phi4mini", "gemma2",
                                           "gemma3", "ministral3"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace slm::convert
