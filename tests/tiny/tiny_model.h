// Small random models, made from the tensor table: nothing outside is needed.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "quant/type.h"

namespace slm::testing {

// The 256 bytes, and the control tokens of ChatML.
inline constexpr int kTinyVocab = 260;

struct TinyModel {
  std::string arch = "llama";
  quant::Type type = quant::Type::kF32;  // of the matrices
  int64_t layers = 0;                    // 0: two, or one more than the family's windows repeat in
  bool is_fused = false;                 // q, k and v in one tensor, gate and up in one
};

// Writes it once per process into a temporary folder and returns its path. Its tokenizer knows
// bytes and <s>, </s>, <|im_start|>, <|im_end|>; its chat template is ChatML. Gemmas get a window
// of 100 positions.
std::string WriteTinyModel(const TinyModel& tiny);

// Of its vocabulary.
std::vector<int32_t> RandomIds(size_t n, std::mt19937& rng);

}  // namespace slm::testing
