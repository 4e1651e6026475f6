// Adapters in the forward pass: only for the sessions that have them, in any batch. What they
// compute is in tests/train/merge_test.cpp and, against PEFT, tests/convert/peft_adapter_test.cpp.
#include "engine/lora.h"

#include <gtest/gtest.h>

#include "engine/executor.h"
#include "support/floats.h"
#include "tiny/tiny_lora.h"
#include "tiny/tiny_model.h"

namespace slm::engine {
namespace {

using testing::RandomIds;
struct Param {
  std::string arch;
  bool is_dora;
};

class LoraTest : public ::testing::TestWithParam<Param> {
 protected:
  static SessionOptions Options(std::shared_ptr<const Lora> lora) {
    SessionOptions options;
    options.context = 256;
    options.k_type = options.v_type = kernels::KvType::kF32;
    if (lora) options.loras = {std::move(lora)};
    return options;
  }
  static std::vector<float> Logits(const std::shared_ptr<const Model>& model,
                                   std::shared_ptr<const Lora> lora, std::span<const int32_t> ids) {
    Session session(model, Options(std::move(lora)));
    Executor executor(model);
    const std::span<const float> logits = executor.Extend(&session, ids);
    return {logits.begin(), logits.end()};
  }
};

TEST_P(LoraTest, BatchesAndChunksDoNotChangeABit) {
  std::mt19937 rng(72);
  Runtime runtime(2);
  const auto model = Model::Load(
      testing::WriteTinyModel({.arch = GetParam().arch, .type = quant::Type::kQ4_0}), &runtime);
  const auto one = std::make_shared<Lora>(
      *model, testing::RandomLora(model->file(), model->hparams(), GetParam().is_dora, rng), 1.0f);
  const auto other = std::make_shared<Lora>(
      *model, testing::RandomLora(model->file(), model->hparams(), GetParam().is_dora, rng), -0.5f);
  const std::vector<std::shared_ptr<const Lora>> loras = {one, nullptr, other};
  std::vector<std::vector<int32_t>> ids;
  std::vector<std::vector<float>> alone;
  for (const auto& lora : loras) {
    ids.push_back(RandomIds(20 + rng() % 20, rng));
    alone.push_back(Logits(model, lora, ids.back()));
  }
  Executor executor(model);
  std::vector<Session> sessions;
  for (const auto& lora : loras) sessions.emplace_back(model, Options(lora));
  std::vector<std::vector<float>> together(loras.size());
  const auto forward = [&](size_t first, size_t last) {
    std::vector<BatchItem> batch;
    for (size_t i = 0; i < loras.size(); ++i) {
      const std::span<const int32_t> all = ids[i];
      const size_t end = std::min(last, all.size());
      batch.push_back({&sessions[i], all.subspan(first, end - first), 1});
    }
    executor.Forward(batch, [&](size_t item, int64_t, std::span<const float> logits) {
      together[item].assign(logits.begin(), logits.end());
    });
  };
  forward(0, 7);
  forward(7, 100);
  for (size_t i = 0; i < loras.size(); ++i)
    EXPECT_TRUE(testing::SameBits(together[i], alone[i])) << "session " << i;
  EXPECT_FALSE(testing::SameBits(Logits(model, one, ids[1]), alone[1]))
      << "an adapter does nothing";
}

INSTANTIATE_TEST_SUITE_P(Families, LoraTest,
                         ::testing::Values(Param{"llama", false}, Param{"llama", true},
                                           Param{"gemma3", false}, Param{"gemma3", true}),
                         [](const auto& test) {
                           return test.param.arch + (test.param.is_dora ? "_dora" : "_lora");
                         });

}  // namespace
}  // namespace slm::engine
