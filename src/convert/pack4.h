// Rows of weights as compressed-tensors' pack-quantized format has them with 4 bits, symmetric, in
// groups along the row: an element is scale * (code - 8), codes lie eight to a 32-bit word, the
// first one lowest, and a group has a scale in half precision.
//
// Reference: https://github.com/vllm-project/compressed-tensors, compressors/pack_quantized.
#pragma once

#include <cstdint>

#include "quant/type.h"

namespace slm::convert {

// Q4_0 is the same grid in groups of 32: nothing is rounded.
constexpr bool IsExactIn4Bits(quant::Type type, int64_t group_size) {
  return type == quant::Type::kQ4_0 && group_size == 32;
}

// `n` elements of a row in Q4_0; writes n / 2 bytes of codes and n / 32 scales.
void PackQ4_0(const uint8_t* row, int64_t n, uint8_t* codes, uint16_t* scales);

// Rounds by the rule of Q4_0: the element of largest magnitude becomes -8. `n` is a multiple of
// group_size, which is one of 8. False when a scale leaves half precision, or is NaN.
bool PackFloats(const float* row, int64_t n, int64_t group_size, uint8_t* codes, uint16_t* scales);

}  // namespace slm::convert
