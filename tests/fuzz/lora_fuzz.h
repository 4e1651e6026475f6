// What the targets that read adapters share: a base, and what an adapter that was read must be.
#pragma once

#include <cmath>
#include <cstddef>

#include "base/error.h"
#include "model/lora.h"
#include "tiny/tiny_model.h"

namespace slm::fuzz {

inline model::LoraTargets Targets() {
  static const auto file = format::GgufFile::Open(testing::WriteTinyModel({.layers = 1}));
  static const model::Hparams hparams = ReadHparams(file, model::FindFamily("llama", "fuzz"));
  return {file, hparams};
}

inline void CheckLora(const model::Lora& lora) {
  SLM_CHECK(!lora.matrices.empty());
  for (const model::LoraMatrix& m : lora.matrices) {
    SLM_CHECK(m.rank > 0 && m.in > 0 && m.out > 0 && std::isfinite(m.scale));
    SLM_CHECK(m.a.size() == static_cast<size_t>(m.rank * m.in));
    SLM_CHECK(m.b.size() == static_cast<size_t>(m.out * m.rank));
    SLM_CHECK(m.magnitude.empty() || m.magnitude.size() == static_cast<size_t>(m.out));
    for (const auto* values : {&m.a, &m.b, &m.magnitude})
      for (const float x : *values) SLM_CHECK(std::isfinite(x));
  }
}

}  // namespace slm::fuzz
