// The checkpoints of SLM_DATA/tiny become what llama.cpp's converter made of them: the same
// tensors, bit for bit, and the same metadata, tokenizer.* and general.* aside.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/thread_pool.h"
#include "convert/convert.h"
#include "convert/recipe_target.h"
#include "format/gguf.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::convert {
namespace {

using Values = std::map<std::string, std::pair<std::string, std::vector<format::GgufScalar>>>;

Values MetadataOf(const format::GgufFile& file) {
  Values values;
  for (const auto& [key, value] : file.metadata().entries())
    if (!key.starts_with("general.") && !key.starts_with("tokenizer."))
      values[std::string(key)] = {value.TypeText(), value.Items()};
  return values;
}

class GoldenTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTest, EqualsTheReferenceConverter) {
  SLM_DATA_OR_SKIP(folder, std::string("tiny/") + GetParam());
  const testing::TempFolder temp;
  ThreadPool pool(2);
  const auto notices =
      ConvertToGguf({.folder = folder + "/hf", .output = temp / "out.gguf", .has_vocab = false},
                    RecipeTarget("F32"), &pool, nullptr);
  EXPECT_TRUE(notices.empty());

  const auto ours = format::GgufFile::Open(temp / "out.gguf");
  const auto reference = format::GgufFile::Open(folder + "/model-f32.gguf");
  EXPECT_EQ(MetadataOf(ours), MetadataOf(reference));
  EXPECT_EQ(ours.metadata().GetString("general.architecture"),
            reference.metadata().GetString("general.architecture"));
  EXPECT_EQ(ours.metadata().GetInt("general.file_type"), 0);
  ASSERT_EQ(ours.tensors().size(), reference.tensors().size());
  for (const format::GgufTensor& want : reference.tensors()) {
    const format::GgufTensor& got = ours.Get(want.name);
    EXPECT_EQ(got.type, want.type) << want.name;
    EXPECT_EQ(got.dims, want.dims) << want.name;
    EXPECT_EQ(got.num_dims, want.num_dims) << want.name;
    EXPECT_TRUE(std::ranges::equal(got.data, want.data)) << want.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenTest,
                         ::testing::Values("gemma2", "gemma3", "llama", "ministral3", "phi4",
                                           "phi4mini", "qwen2", "qwen3"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace slm::convert
