// Numbers from metadata: what is missing, what is odd, and what the rotations come to.
#include "model/hparams.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/thread_pool.h"
#include "format/gguf_writer.h"
#include "kernels/table.h"
#include "model/rope.h"
#include "model/weights.h"
#include "ops/backend.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::model {
namespace {

using format::GgufFile;
using format::GgufWriter;

// A tiny model with changed metadata, and one more tensor when `extra` names it.
class Variant {
 public:
  explicit Variant(const std::string& arch, const std::function<void(GgufWriter*)>& change = {},
                   const std::string& extra = "") {
    const GgufFile original = GgufFile::Open(testing::WriteTinyModel({.arch = arch}));
    GgufWriter out(folder_ / "variant.gguf");
    out.CopyAll(original.metadata());
    if (change) change(&out);
    for (const auto& t : original.tensors())
      out.Declare(t.name, t.type, std::span(t.dims).first(static_cast<size_t>(t.num_dims)));
    const int64_t one[] = {1};
    if (!extra.empty()) out.Declare(extra, quant::Type::kF32, one);
    for (const auto& t : original.tensors()) out.Append(t.data);
    if (!extra.empty()) out.Append(std::vector<uint8_t>(4));
    out.Finish();
  }
  GgufFile Open() const { return GgufFile::Open(folder_ / "variant.gguf"); }
  Hparams Read() const {
    const GgufFile file = Open();
    return ReadHparams(file, FindFamily(file.metadata().GetString("general.architecture"), "x"));
  }
  Code Refused(const std::string& part) const {
    try {
      Read();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      return error.code();
    }
    ADD_FAILURE() << "not refused: " << part;
    return Code::kFailed;
  }

 private:
  testing::TempFolder folder_;
};

// cos of position 1 for every pair: the angle is the frequency.
std::vector<double> Frequencies(const Hparams& h, const Weights& weights = {},
                                bool is_window_layer = false, int64_t context = 4096) {
  const auto pairs = static_cast<size_t>(h.rope_dim / 2);
  std::vector<float> cos(pairs), sin(pairs);
  Rope(h, weights, is_window_layer, context).Fill(1, 1, cos.data(), sin.data());
  std::vector<double> angles;
  for (size_t i = 0; i < pairs; ++i)
    angles.push_back(std::atan2(static_cast<double>(sin[i]), static_cast<double>(cos[i])));
  return angles;
}

double Plain(double base, size_t i, int64_t rope_dim) {
  return std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(rope_dim));
}

TEST(Hparams, MissingAndOddNumbersAreNamed) {
  const auto remove = [](const char* key) { return [key](GgufWriter* out) { out->Remove(key); }; };
  const auto set = [](const char* key, uint32_t value) {
    return [=](GgufWriter* out) { out->Set<uint32_t>(key, value); };
  };
  for (const char* key : {"llama.block_count", "llama.embedding_length",
                          "llama.feed_forward_length", "llama.attention.head_count",
                          "llama.context_length", "llama.attention.layer_norm_rms_epsilon"})
    EXPECT_EQ(Variant("llama", remove(key)).Refused(key), Code::kBadInput);
  EXPECT_EQ(Variant("llama", set("llama.block_count", 0)).Refused("llama.block_count"),
            Code::kBadInput);
  EXPECT_EQ(Variant("llama", set("llama.attention.head_count_kv", 4)).Refused("head_count_kv"),
            Code::kBadInput);
  EXPECT_EQ(Variant("llama", set("llama.rope.dimension_count", 33)).Refused("dimension_count"),
            Code::kBadInput);
  EXPECT_EQ(Variant("llama", set("llama.attention.value_length", 16)).Refused("different lengths"),
            Code::kUnsupported);
  EXPECT_EQ(
      Variant("llama", [](GgufWriter* out) { out->SetString("llama.rope.scaling.type", "odd"); })
          .Refused("odd"),
      Code::kUnsupported);
  EXPECT_EQ(
      Variant("llama", [](GgufWriter* out) { out->SetString("llama.rope.scaling.type", "yarn"); })
          .Refused("original_context_length"),
      Code::kBadInput);
}

TEST(Hparams, NumbersPerLayerMustBeEqual) {
  const auto heads = [](std::vector<uint32_t> values) {
    return [values](GgufWriter* out) {
      out->SetArray<uint32_t>("llama.attention.head_count_kv", values);
    };
  };
  EXPECT_EQ(Variant("llama", heads({3, 3})).Read().kv_heads, 3);
  EXPECT_EQ(Variant("llama", heads({3, 2})).Refused("head_count_kv"), Code::kUnsupported);
}

TEST(Hparams, WindowPatterns) {
  const auto pattern = [](std::vector<bool> flags) {
    return [flags](GgufWriter* out) {
      std::string bytes(flags.begin(), flags.end());
      out->SetArray<bool>("gemma3.attention.sliding_window_pattern",
                          {reinterpret_cast<const bool*>(bytes.data()), bytes.size()});
    };
  };
  const Hparams by_family = Variant("gemma3").Read();
  EXPECT_EQ(by_family.layers, 7);
  EXPECT_TRUE(by_family.IsWindowLayer(4));
  EXPECT_FALSE(by_family.IsWindowLayer(5));
  EXPECT_TRUE(by_family.IsWindowLayer(6));
  const Hparams by_file = Variant("gemma3", pattern({1, 1, 0, 1, 1, 0, 1})).Read();
  EXPECT_EQ(by_file.window_period, 3);
  EXPECT_EQ(Variant("gemma3", pattern({1, 1, 1, 1, 1, 1, 1})).Read().window_period, 0);
  EXPECT_EQ(Variant("gemma3", pattern({1, 0, 1, 1, 0, 1, 1})).Refused("periodic"), Code::kBadInput);
  EXPECT_EQ(Variant("gemma3", pattern({1, 1, 0})).Refused("3 flags for 7 layers"), Code::kBadInput);
  const Hparams by_number = Variant("gemma3", [](GgufWriter* out) {
                              out->Set<uint32_t>("gemma3.attention.sliding_window_pattern", 4);
                            }).Read();
  EXPECT_EQ(by_number.window_period, 4);
}

TEST(Hparams, EarlyGemma2FilesLackWhatItsPaperSays) {
  const Hparams h = Variant("gemma2", [](GgufWriter* out) {
                      out->Remove("gemma2.attention.sliding_window");
                    }).Read();
  EXPECT_EQ(h.window, 4096);
  EXPECT_EQ(h.attn_softcap, 50);
  EXPECT_EQ(h.final_softcap, 30);
}

TEST(Rope, ScalingByMetadata) {
  const Hparams plain = Variant("llama").Read();
  const std::vector<double> unscaled = Frequencies(plain);
  for (size_t i = 0; i < unscaled.size(); ++i) EXPECT_NEAR(unscaled[i], Plain(10000, i, 32), 1e-6);
  const auto factor = [](const char* key) {
    return [key](GgufWriter* out) { out->Set<float>(key, 8.0f); };
  };
  // A factor without a type is linear, as is the key that came before it.
  for (const char* key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
    const std::vector<double> linear = Frequencies(Variant("llama", factor(key)).Read());
    for (size_t i = 0; i < linear.size(); ++i)
      EXPECT_NEAR(linear[i], Plain(10000, i, 32) / 8, 1e-6) << key;
  }
  const Hparams none = Variant("llama", [](GgufWriter* out) {
                         out->SetString("llama.rope.scaling.type", "none");
                         out->Set<float>("llama.rope.scaling.factor", 8.0f);
                       }).Read();
  EXPECT_NEAR(Frequencies(none)[3], Plain(10000, 3, 32), 1e-6);
}

TEST(Rope, WindowLayersHaveTheirOwnBaseUnscaled) {
  for (const float base : {1000000.0f, 10000.0f}) {
    const Hparams h = Variant("gemma3", [base](GgufWriter* out) {
                        out->Set<float>("gemma3.rope.freq_base", base);
                        out->Set<float>("gemma3.rope.scaling.factor", 8.0f);
                      }).Read();
    EXPECT_NEAR(Frequencies(h, {}, false)[2], Plain(static_cast<double>(base), 2, 32) / 8, 1e-6);
    EXPECT_NEAR(Frequencies(h, {}, true)[2], Plain(10000, 2, 32), 1e-6);
  }
}

TEST(Rope, FactorsOfTheFileByContext) {
  Hparams h = Variant("phi3").Read();
  h.original_context = 1024;
  Weights weights;
  weights.rope_factors_short.assign(16, 2.0f);
  weights.rope_factors_long.assign(16, 4.0f);
  EXPECT_NEAR(Frequencies(h, weights, false, 1024)[1], Plain(10000, 1, 32) / 2, 1e-6);
  EXPECT_NEAR(Frequencies(h, weights, false, 1025)[1], Plain(10000, 1, 32) / 4, 1e-6);
}

TEST(Weights, ATensorThatNothingReadsIsRefused) {
  const Variant variant("llama", {}, "blk.1.attn_output.bias");
  const GgufFile file = variant.Open();
  const Family& family = FindFamily("llama", "x");
  ThreadPool pool(1);
  const auto backend = ops::MakeCpuBackend(kernels::Kernels(), &pool);
  try {
    BindWeights(file, ReadHparams(file, family), family, backend.get());
    ADD_FAILURE() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("blk.1.attn_output.bias"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace slm::model
