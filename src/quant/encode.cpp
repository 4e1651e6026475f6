#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "quant/blocks.h"
#include "quant/codec.h"

namespace slm::quant {
namespace {

float Inverse(float d) { return d != 0 ? 1.0f / d : 0.0f; }

// Rounds towards zero into [0, max]. What is not a number becomes 0: casting it would be undefined.
int Level(float x, int max) {
  if (!(x > 0)) return 0;
  return x >= static_cast<float>(max) ? max : static_cast<int>(x);
}

// The value of the largest magnitude, the first of equals, with its sign.
float Extreme(const float* x, int n) {
  float extreme = 0, magnitude = 0;
  for (int i = 0; i < n; ++i) {
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      extreme = x[i];
    }
  }
  return extreme;
}

struct Range {
  float min, max;
};

Range FindRange(const float* x, int n) {
  Range range = {x[0], x[0]};
  for (int i = 1; i < n; ++i) {
    range.min = x[i] < range.min ? x[i] : range.min;
    range.max = x[i] > range.max ? x[i] : range.max;
  }
  return range;
}

uint8_t Nibbles(int low, int high) { return static_cast<uint8_t>((low & 15) | ((high & 15) << 4)); }

// Levels of 32 elements into the nibbles and, where there is one, the word of fifth bits.
void Pack(const int level[32], uint8_t qs[16]) {
  for (int i = 0; i < 16; ++i) qs[i] = Nibbles(level[i], level[i + 16]);
}

void Pack(const int level[32], uint8_t qs[16], uint8_t qh[4]) {
  Pack(level, qs);
  uint32_t bits = 0;
  for (int i = 0; i < 32; ++i) bits |= static_cast<uint32_t>(level[i] >> 4) << i;
  std::memcpy(qh, &bits, 4);
}

// Symmetric: the extreme value falls on the lowest level.
float QuantizeSymmetric(const float* x, int half_range, int level[32]) {
  const float d = Extreme(x, 32) / static_cast<float>(-half_range);
  const float inverse = Inverse(d), offset = static_cast<float>(half_range) + 0.5f;
  for (int i = 0; i < 32; ++i) level[i] = Level(x[i] * inverse + offset, 2 * half_range - 1);
  return d;
}

// Affine: min and max fall on the first and the last level.
struct Affine {
  float d, m;
};

Affine QuantizeAffine(const float* x, int max_level, int level[32]) {
  const Range range = FindRange(x, 32);
  const float d = (range.max - range.min) / static_cast<float>(max_level);
  const float inverse = Inverse(d);
  for (int i = 0; i < 32; ++i) level[i] = Level((x[i] - range.min) * inverse + 0.5f, max_level);
  return {d, range.min};
}

void EncodeBlock(const float* x, BlockQ4_0* b) {
  int level[32];
  b->d = FloatToHalf(QuantizeSymmetric(x, 8, level));
  Pack(level, b->qs);
}

void EncodeBlock(const float* x, BlockQ4_1* b) {
  int level[32];
  const Affine a = QuantizeAffine(x, 15, level);
  b->d = FloatToHalf(a.d);
  b->m = FloatToHalf(a.m);
  Pack(level, b->qs);
}

void EncodeBlock(const float* x, BlockQ5_0* b) {
  int level[32];
  b->d = FloatToHalf(QuantizeSymmetric(x, 16, level));
  Pack(level, b->qs, b->qh);
}

void EncodeBlock(const float* x, BlockQ5_1* b) {
  int level[32];
  const Affine a = QuantizeAffine(x, 31, level);
  b->d = FloatToHalf(a.d);
  b->m = FloatToHalf(a.m);
  Pack(level, b->qs, b->qh);
}

void EncodeBlock(const float* x, BlockQ8_0* b) {
  const float d = std::fabs(Extreme(x, 32)) / 127.0f;
  const float inverse = Inverse(d);
  b->d = FloatToHalf(d);
  for (int i = 0; i < 32; ++i) {
    const float q = std::round(x[i] * inverse);  // halves away from zero
    b->qs[i] = std::isnan(q) ? int8_t{0} : static_cast<int8_t>(std::clamp(q, -127.0f, 127.0f));
  }
}

template <class Block>
void EncodeRow(const float* src, uint8_t* dst, int64_t n) {
  for (int64_t i = 0; i < n / kBlockSize; ++i) {
    Block block;
    EncodeBlock(src + i * kBlockSize, &block);
    std::memcpy(dst + i * static_cast<int64_t>(sizeof(Block)), &block, sizeof(Block));
  }
}

template <uint16_t (*FromFloat)(float)>
void EncodeHalves(const float* src, uint8_t* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint16_t bits = FromFloat(src[i]);
    std::memcpy(dst + 2 * i, &bits, 2);
  }
}

}  // namespace

void EncodeF32(const float* src, uint8_t* dst, int64_t n) {
  if (n > 0) std::memcpy(dst, src, static_cast<size_t>(n) * 4);
}
void EncodeF16(const float* src, uint8_t* dst, int64_t n) {
  EncodeHalves<FloatToHalf>(src, dst, n);
}
void EncodeBF16(const float* src, uint8_t* dst, int64_t n) {
  EncodeHalves<FloatToBfloat>(src, dst, n);
}
void EncodeQ4_0(const float* src, uint8_t* dst, int64_t n) { EncodeRow<BlockQ4_0>(src, dst, n); }
void EncodeQ4_1(const float* src, uint8_t* dst, int64_t n) { EncodeRow<BlockQ4_1>(src, dst, n); }
void EncodeQ5_0(const float* src, uint8_t* dst, int64_t n) { EncodeRow<BlockQ5_0>(src, dst, n); }
void EncodeQ5_1(const float* src, uint8_t* dst, int64_t n) { EncodeRow<BlockQ5_1>(src, dst, n); }
void EncodeQ8_0(const float* src, uint8_t* dst, int64_t n) { EncodeRow<BlockQ8_0>(src, dst, n); }

}  // namespace slm::quant
