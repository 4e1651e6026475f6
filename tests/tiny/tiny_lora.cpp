#include "tiny/tiny_lora.h"

#include <cmath>

#include "support/floats.h"

namespace slm::testing {

model::Lora RandomLora(const format::GgufFile& file, const model::Hparams& hparams, bool is_dora,
                       std::mt19937& rng) {
  constexpr int64_t kRank = 5;
  const model::LoraTargets targets(file, hparams);
  model::Lora lora;
  for (const model::TensorRow& row : model::TensorTable()) {
    if (!model::LoraTargets::IsTarget(row.slot)) continue;
    for (int64_t layer = 0; layer < (row.is_layer ? hparams.layers : 1); ++layer) {
      const bool is_output = row.slot == model::Slot::kOutput;
      if (!is_output && !file.Find(model::TensorName(row, layer))) continue;
      model::LoraMatrix matrix = targets.Get("lora", row.slot, layer);
      matrix.rank = kRank;
      matrix.scale = 0.5f;
      matrix.a = MakeFloats(Values::kNormal, static_cast<size_t>(kRank * matrix.in), rng);
      matrix.b = MakeFloats(Values::kNormal, static_cast<size_t>(matrix.out * kRank), rng);
      for (float& x : matrix.a) x *= 0.1f;
      for (float& x : matrix.b) x *= 0.1f;
      if (is_dora) {
        matrix.magnitude = MakeFloats(Values::kNormal, static_cast<size_t>(matrix.out), rng);
        for (float& x : matrix.magnitude) x = 1 + std::fabs(x);
      }
      lora.matrices.push_back(std::move(matrix));
    }
  }
  return lora;
}

}  // namespace slm::testing
