// Small random models, made from the tensor table: nothing outside is needed.
#pragma once

#include <string>

#include "quant/type.h"

namespace slm::testing {

inline constexpr int kTinyVocab = 96;

struct TinyModel {
  std::string arch = "llama";
  quant::Type type =
      quant::Type::kF32;  // of the matrices; one with an encoder and blocks of at most 32
};

// Writes it once per process into a temporary folder and returns its path. Gemmas get a window of
// 100 positions.
std::string WriteTinyModel(const TinyModel& tiny);

}  // namespace slm::testing
