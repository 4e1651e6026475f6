// Checkpoints of bitsandbytes in 4 bits, against what it makes of them (tests/golden/bnb).
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/thread_pool.h"
#include "convert/convert.h"
#include "convert/hf_names.h"
#include "convert/recipe_target.h"
#include "convert/tiny_checkpoint.h"
#include "format/gguf.h"
#include "format/safetensors.h"
#include "quant/nf4_panel.h"
#include "support/data.h"
#include "support/floats.h"
#include "support/temp_folder.h"

namespace slm::convert {
namespace {

const std::string kFolder = "tests/golden/bnb";

class Bnb : public ::testing::Test {
 protected:
  format::GgufFile Convert(const std::string& folder, const char* type) {
    ThreadPool pool(2);
    ConvertToGguf({.folder = folder, .output = temp_ / "out.gguf", .has_vocab = false},
                  RecipeTarget(type), &pool, nullptr);
    return format::GgufFile::Open(temp_ / "out.gguf");
  }

  static std::vector<float> Decoded(const format::GgufFile& file, const std::string& name) {
    const format::GgufTensor* tensor = file.Find(name);
    EXPECT_NE(tensor, nullptr) << name;
    std::vector<float> values(static_cast<size_t>(tensor->elements));
    quant::Traits(tensor->type).decode(tensor->data.data(), values.data(), tensor->elements);
    return values;
  }

  static std::vector<float> Expected(const std::string& name) {
    const format::Safetensors file = format::Safetensors::Open(kFolder + "/expected.bin");
    const format::SafetensorsTensor* tensor = file.Find(name);
    EXPECT_NE(tensor, nullptr) << name;
    std::vector<float> values(static_cast<size_t>(tensor->elements));
    tensor->type->decode(tensor->data.data(), values.data(), tensor->elements);
    return values;
  }

  // The checkpoint with one of its tensors changed.
  std::string Problem(const std::string& name, const TinyTensor* tensor) {
    const format::Safetensors file = format::Safetensors::Open(kFolder + "/model.safetensors");
    TinyCheckpoint checkpoint;
    checkpoint.config = nlohmann::ordered_json::parse(testing::ReadFile(kFolder + "/config.json"));
    for (const format::SafetensorsTensor& from : file.tensors())
      checkpoint.tensors[from.name] = {
          from.type->name, from.shape, {from.data.begin(), from.data.end()}};
    checkpoint.tensors.erase(name);
    if (tensor) checkpoint.tensors[name] = *tensor;
    checkpoint.Write(temp_ / "spoilt");
    try {
      Convert(temp_ / "spoilt", "f32");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  testing::TempFolder temp_;
};

TEST_F(Bnb, DecodesToTheSameBits) {
  // As NF4 rows of 64 elements keep their codes; those of 96 become Q8_0.
  for (const char* type : {"f32", "nf4"}) {
    const format::GgufFile file = Convert(kFolder, type);
    const std::vector<float> q = Expected("q_proj"), got = Decoded(file, "blk.0.attn_q.weight");
    for (int64_t row = 0; row < 64; ++row)
      for (int64_t i = 0; i < 64; ++i)
        ASSERT_EQ(got[static_cast<size_t>(64 * row + i)],
                  q[static_cast<size_t>(64 * HfRowOfGgufRow(row, 16) + i)])
            << type << ", row " << row;
    if (type == std::string("f32")) {
      EXPECT_TRUE(testing::SameBits(Decoded(file, "blk.0.ffn_down.weight"), Expected("down_proj")));
    } else {
      EXPECT_EQ(file.Find("blk.0.attn_q.weight")->type, quant::Type::kNF4);
      EXPECT_EQ(file.Find("blk.0.ffn_down.weight")->type, quant::Type::kQ8_0);
    }
  }
}

TEST_F(Bnb, SaysWhatDoesNotBelongTogether) {
  const std::string weight = "model.layers.0.mlp.up_proj.weight";
  const auto expect = [&](const std::string& name, const TinyTensor* tensor, const char* part) {
    const std::string problem = Problem(name, tensor);
    EXPECT_NE(problem.find(part), std::string::npos) << problem;
  };
  expect(weight + ".absmax", nullptr, "expected .absmax of type U8");
  expect(weight + ".quant_map", nullptr, "expected .quant_map");
  expect(weight + ".quant_state.bitsandbytes__nf4", nullptr, "expected shape [96, 64]");
  const TinyTensor map = FloatTensor({16}, std::vector<float>(16));
  expect(weight + ".quant_map", &map, "expected the values of bitsandbytes");
  const TinyTensor few = {"U8", {1}, "a"};
  expect(weight + ".absmax", &few, "96 elements");
  expect(weight, &few, "expected 3072 bytes");
  const auto state = [&](const char* text) {
    const TinyTensor tensor = {"U8", {static_cast<int64_t>(std::strlen(text))}, text};
    return Problem(weight + ".quant_state.bitsandbytes__nf4", &tensor);
  };
  EXPECT_NE(state("{").find("JSON"), std::string::npos);
  EXPECT_NE(state(R"({"blocksize": 128, "shape": [96, 64]})").find("blocksize"), std::string::npos);
  EXPECT_NE(state(R"({"blocksize": 64, "shape": [1e300, 64]})").find("two sizes"),
            std::string::npos);
  EXPECT_NE(state(R"({"blocksize": 64, "nested_blocksize": 256, "shape": [96, 64]})")
                .find("nested_offset"),
            std::string::npos);
}

}  // namespace
}  // namespace slm::convert
