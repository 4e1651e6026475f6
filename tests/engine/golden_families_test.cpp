// Logits of tests/golden/families against transformers (PyTorch, float32). Those models have odd
// shapes: heads, widths and vocabularies that fill no vector, windows and contexts that end inside
// a page.
#include "engine/logits_check.h"

namespace slm::engine {
namespace {

class GoldenFamily : public ::testing::TestWithParam<LogitsParam> {};

TEST_P(GoldenFamily, MatchesTransformers) {
  const std::string stem = "tests/golden/families/" + GetParam().model;
  ExpectLogits(stem + ".gguf", stem + ".json", GetParam().isa);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenFamily,
                         LogitsParams({"llama", "mistral", "qwen2", "qwen3", "phi4", "phi4mini",
                                       "gemma2", "gemma2_27b", "gemma3", "ministral3"}),
                         LogitsParamName);

}  // namespace
}  // namespace slm::engine
