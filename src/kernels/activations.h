// Rows of activations as matrix products read them; docs/arithmetic.md says how they are rounded.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slm::kernels {

// How a row of activations is handed to a matrix product. The quantized forms follow the block of
// the weights; kBf16 has bfloat16 elements, an even number of them.
enum class ActFormat { kF32, kBf16, kAct32, kAct256, kWords };

// Exact sums of q, in the forms that kernels start from. `pairs[s]` belongs to 16 elements: the sum
// of those with index % 4 < 2, and of the others. `shift` is -128 times the sum of a sub-block of
// 16 or 32: what a dot product with codes + 128 starts at; sum16 and sum32 are those sums
// themselves. AVX-512 reads the last three, AVX2 the pairs and the sums, the others the pairs.
struct Act32 {
  int8_t q[32];
  int16_t pairs[2][2];
  int32_t shift;
  float d;
  float sum;  // d * (exact sum of q)
};

struct Act256 {
  int8_t q[256];
  int16_t pairs[16][2];
  int32_t shift16[16], shift32[8];
  int16_t sum16[16], sum32[8];
  float d;
};

// Rounded to 14 bits. So many elements of a row, fewer at its end, share a scale: their products
// with codes of 11 bits add up exactly in 32.
constexpr int64_t kWordBlock = 64, kWordGroup = 256;
struct ActWords {
  int16_t q[kWordBlock];  // within 8191
  float d;                // the same in all blocks of a group
};

size_t ActRowBytes(ActFormat format, int64_t k);

}  // namespace slm::kernels
