#include "convert/lora_model.h"

#include <gtest/gtest.h>

#include <cmath>

namespace slm::convert {

std::vector<float> LoraModel::Logits(const model::Lora& lora, std::span<const int32_t> ids) const {
  engine::SessionOptions options;
  options.context = 64;
  options.k_type = options.v_type = kernels::KvType::kF32;
  options.loras = {std::make_shared<engine::Lora>(*model_, lora, 1.0f)};
  engine::Session session(model_, options);
  engine::Executor executor(model_);
  const std::span<const float> logits = executor.Extend(&session, ids);
  return {logits.begin(), logits.end()};
}

float WorstError(const std::vector<float>& got, const std::vector<float>& expected) {
  EXPECT_EQ(got.size(), expected.size());
  float worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const float error = std::fabs(got[i] - expected[i]);
    if (!(error <= worst)) worst = error;  // so that a NaN stays
  }
  return worst;
}

}  // namespace slm::convert
