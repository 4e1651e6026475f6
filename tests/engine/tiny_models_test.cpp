// Logits of the tiny models of SLM_DATA against transformers (PyTorch, float32): short and long
// inputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/executor.h"
#include "kernels/table.h"
#include "support/data.h"

namespace slm::engine {
namespace {

struct Param {
  std::string family, isa;
};

class TinyModel : public ::testing::TestWithParam<Param> {};

TEST_P(TinyModel, MatchesTransformers) {
  SLM_DATA_OR_SKIP(folder, "tiny/" + GetParam().family);
  const auto truth = nlohmann::json::parse(testing::ReadFile(folder + "/logits.json"));
  const bool is_ref = GetParam().isa == "ref";
  Runtime runtime(2, kernels::FindTable(GetParam().isa));
  const auto model = Model::Load(folder + "/model-f32.gguf", &runtime);
  Executor executor(model);
  for (const auto& [name, expected] : truth.items()) {
    std::vector<int32_t> ids = expected.at("ids");
    const std::vector<float> logits = expected.at("logits");
    // Long rope takes its long factors by the context: the long input passes the original one, the
    // short does not.
    const auto context = static_cast<int64_t>(ids.size()) + 16;
    Session session(model, {context, kernels::KvType::kF32, kernels::KvType::kF32});
    std::span<const float> got = executor.Extend(&session, ids);
    float worst = 0;
    for (size_t i = 0; i < logits.size(); ++i)
      worst = std::max(worst, std::fabs(got[i] - logits[i]));
    EXPECT_LE(worst, is_ref ? 1e-4f : 3e-3f) << name;
    for (const int32_t next : expected.at("greedy")) {
      const auto best = std::max_element(got.begin(), got.end()) - got.begin();
      EXPECT_EQ(best, next) << name;
      ids.push_back(static_cast<int32_t>(best));
      got = executor.Extend(&session, ids);
    }
  }
}

std::vector<Param> Params() {
  std::vector<Param> params;
  for (const char* family :
       {"llama", "qwen2", "qwen3", "phi4", "phi4mini", "gemma2", "gemma3", "ministral3"})
    for (const kernels::KernelTable* table : kernels::AvailableTables())
      params.push_back({family, std::string(table->isa)});
  return params;
}

INSTANTIATE_TEST_SUITE_P(Families, TinyModel, ::testing::ValuesIn(Params()),
                         [](const auto& test) { return test.param.family + "_" + test.param.isa; });

}  // namespace
}  // namespace slm::engine
