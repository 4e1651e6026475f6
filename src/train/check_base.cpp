#include "train/check_base.h"

#include <atomic>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace slm::train {
namespace {

bool IsFinite(const ops::Matrix& matrix, ThreadPool* pool) {
  std::atomic<bool> is_finite{true};
  pool->ParallelFor(matrix.panels(), [&](int64_t panel, int) {
    thread_local std::vector<float> decoded;
    decoded.resize(static_cast<size_t>(matrix.k() * quant::kPanelRows));
    matrix.DecodePanel(panel, 0, matrix.k(), decoded.data());
    // A sum of magnitudes is finite where all of them are, but for floats near the largest.
    float sum = 0;
    for (const float w : decoded) sum += std::fabs(w) * 0x1p-40f;
    if (!std::isfinite(sum)) is_finite = false;
  });
  return is_finite;
}

}  // namespace

void CheckFinite(const engine::Model& model) {
  ThreadPool* pool = model.runtime()->pool();
  const auto check = [&](const ops::Matrix& matrix, int64_t layer, model::Slot slot) {
    if (!IsFinite(matrix, pool))
      throw Error(Code::kBadInput, "{}: tensor {} has weights that are not finite",
                  model.file().path(),
                  TensorName(model::TensorTable()[static_cast<size_t>(slot)], layer));
  };
  for (int64_t layer = 0; layer < model.hparams().layers; ++layer) {
    const model::LayerWeights& w = model.weights().layers[static_cast<size_t>(layer)];
    using enum model::Slot;
    const std::pair<const ops::Matrix*, model::Slot> matrices[] = {
        {&w.q, kAttnQ},      {&w.k, kAttnK},  {&w.v, kAttnV},     {&w.output, kAttnOutput},
        {&w.gate, kFfnGate}, {&w.up, kFfnUp}, {&w.down, kFfnDown}};
    for (const auto& [matrix, slot] : matrices) check(*matrix, layer, slot);
  }
  check(model.weights().output, 0, model::Slot::kOutput);
}

}  // namespace slm::train
