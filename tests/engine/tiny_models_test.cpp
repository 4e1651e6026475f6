// Logits of the tiny models of SLM_DATA against transformers (PyTorch, float32): short and long
// inputs.
#include "engine/logits_check.h"

namespace slm::engine {
namespace {

class TinyModel : public ::testing::TestWithParam<LogitsParam> {};

TEST_P(TinyModel, MatchesTransformers) {
  SLM_DATA_OR_SKIP(folder, "tiny/" + GetParam().model);
  ExpectLogits(folder + "/model-f32.gguf", folder + "/logits.json", GetParam().isa);
}

INSTANTIATE_TEST_SUITE_P(Families, TinyModel,
                         LogitsParams({"llama", "qwen2", "qwen3", "phi4", "phi4mini", "gemma2",
                                       "gemma3", "ministral3"}),
                         LogitsParamName);

}  // namespace
}  // namespace slm::engine
