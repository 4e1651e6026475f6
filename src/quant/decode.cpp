#include <cstring>

#include "base/half.h"
#include "quant/blocks.h"
#include "quant/codec.h"

namespace slm::quant {
namespace {

void DecodeBlock(const BlockQ4_0& b, float* y) {
  const float d = HalfToFloat(b.d);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>((b.qs[i] & 15) - 8);
    y[i + 16] = d * static_cast<float>((b.qs[i] >> 4) - 8);
  }
}

void DecodeBlock(const BlockQ4_1& b, float* y) {
  const float d = HalfToFloat(b.d), m = HalfToFloat(b.m);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(b.qs[i] & 15) + m;
    y[i + 16] = d * static_cast<float>(b.qs[i] >> 4) + m;
  }
}

// The fifth bit of element i, already in its place.
int FifthBit(const uint8_t qh[4], int i) { return ((qh[i / 8] >> (i % 8)) & 1) << 4; }

void DecodeBlock(const BlockQ5_0& b, float* y) {
  const float d = HalfToFloat(b.d);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(((b.qs[i] & 15) | FifthBit(b.qh, i)) - 16);
    y[i + 16] = d * static_cast<float>(((b.qs[i] >> 4) | FifthBit(b.qh, i + 16)) - 16);
  }
}

void DecodeBlock(const BlockQ5_1& b, float* y) {
  const float d = HalfToFloat(b.d), m = HalfToFloat(b.m);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>((b.qs[i] & 15) | FifthBit(b.qh, i)) + m;
    y[i + 16] = d * static_cast<float>((b.qs[i] >> 4) | FifthBit(b.qh, i + 16)) + m;
  }
}

void DecodeBlock(const BlockQ8_0& b, float* y) {
  const float d = HalfToFloat(b.d);
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(b.qs[i]);
}

void DecodeBlock(const BlockIQ4_NL& b, float* y) {
  const float d = HalfToFloat(b.d);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(kIq4NlValues[b.qs[i] & 15]);
    y[i + 16] = d * static_cast<float>(kIq4NlValues[b.qs[i] >> 4]);
  }
}

void DecodeBlock(const BlockQ2_K& b, float* y) {
  const float d = HalfToFloat(b.d), dmin = HalfToFloat(b.dmin);
  for (int i = 0; i < kSuperBlockSize; ++i) {
    const int half = i / 128, shift = 2 * (i % 128 / 32);
    const float scale = d * static_cast<float>(b.scales[i / 16] & 15);
    const float min = dmin * static_cast<float>(b.scales[i / 16] >> 4);
    const int q = (b.qs[32 * half + i % 32] >> shift) & 3;
    y[i] = scale * static_cast<float>(q) - min;
  }
}

void DecodeBlock(const BlockQ3_K& b, float* y) {
  const float d = HalfToFloat(b.d);
  for (int i = 0; i < kSuperBlockSize; ++i) {
    const int half = i / 128, shift = 2 * (i % 128 / 32);
    const float scale = d * static_cast<float>(UnpackScaleQ3K(b.scales, i / 16));
    const int bits = (b.qs[32 * half + i % 32] >> shift) & 3;
    const bool high = (b.hmask[i % 32] >> (i / 32)) & 1;
    y[i] = scale * static_cast<float>(bits - (high ? 0 : 4));
  }
}

void DecodeBlock(const BlockQ4_K& b, float* y) {
  const float d = HalfToFloat(b.d), dmin = HalfToFloat(b.dmin);
  for (int s = 0; s < 8; ++s) {
    uint8_t scale_bits, min_bits;
    UnpackScaleMinK4(b.scales, s, &scale_bits, &min_bits);
    const float scale = d * static_cast<float>(scale_bits);
    const float min = dmin * static_cast<float>(min_bits);
    for (int l = 0; l < 32; ++l) {
      const int q = (b.qs[32 * (s / 2) + l] >> (4 * (s % 2))) & 15;
      y[32 * s + l] = scale * static_cast<float>(q) - min;
    }
  }
}

void DecodeBlock(const BlockQ5_K& b, float* y) {
  const float d = HalfToFloat(b.d), dmin = HalfToFloat(b.dmin);
  for (int s = 0; s < 8; ++s) {
    uint8_t scale_bits, min_bits;
    UnpackScaleMinK4(b.scales, s, &scale_bits, &min_bits);
    const float scale = d * static_cast<float>(scale_bits);
    const float min = dmin * static_cast<float>(min_bits);
    for (int l = 0; l < 32; ++l) {
      const int nibble = (b.qs[32 * (s / 2) + l] >> (4 * (s % 2))) & 15;
      const int q = nibble | (((b.qh[l] >> s) & 1) << 4);
      y[32 * s + l] = scale * static_cast<float>(q) - min;
    }
  }
}

void DecodeBlock(const BlockQ6_K& b, float* y) {
  const float d = HalfToFloat(b.d);
  for (int i = 0; i < kSuperBlockSize; ++i) {
    const int half = i / 128, j = i % 128 / 32, l = i % 32;
    const int nibble = (b.ql[64 * half + 32 * (j % 2) + l] >> (4 * (j / 2))) & 15;
    const int q = nibble | (((b.qh[32 * half + l] >> (2 * j)) & 3) << 4);
    y[i] = d * static_cast<float>(b.scales[i / 16]) * static_cast<float>(q - 32);
  }
}

void DecodeBlock(const BlockIQ4_XS& b, float* y) {
  const float d = HalfToFloat(b.d);
  for (int s = 0; s < 8; ++s) {
    const float scale = d * static_cast<float>(UnpackScaleIQ4XS(b, s));
    for (int i = 0; i < 16; ++i) {
      const uint8_t q = b.qs[16 * s + i];
      y[32 * s + i] = scale * static_cast<float>(kIq4NlValues[q & 15]);
      y[32 * s + 16 + i] = scale * static_cast<float>(kIq4NlValues[q >> 4]);
    }
  }
}

template <class Block, int kElements>
void DecodeRow(const uint8_t* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n / kElements; ++i) {
    Block block;  // a copy, because src may be unaligned
    std::memcpy(&block, src + i * static_cast<int64_t>(sizeof(Block)), sizeof(Block));
    DecodeBlock(block, dst + i * kElements);
  }
}

template <float (*ToFloat)(uint16_t)>
void DecodeHalves(const uint8_t* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t bits;
    std::memcpy(&bits, src + 2 * i, 2);
    dst[i] = ToFloat(bits);
  }
}

}  // namespace

void DecodeF32(const uint8_t* src, float* dst, int64_t n) {
  if (n > 0) std::memcpy(dst, src, static_cast<size_t>(n) * 4);
}
void DecodeF16(const uint8_t* src, float* dst, int64_t n) {
  DecodeHalves<HalfToFloat>(src, dst, n);
}
void DecodeBF16(const uint8_t* src, float* dst, int64_t n) {
  DecodeHalves<BfloatToFloat>(src, dst, n);
}
void DecodeQ4_0(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockQ4_0, kBlockSize>(src, dst, n);
}
void DecodeQ4_1(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockQ4_1, kBlockSize>(src, dst, n);
}
void DecodeQ5_0(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockQ5_0, kBlockSize>(src, dst, n);
}
void DecodeQ5_1(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockQ5_1, kBlockSize>(src, dst, n);
}
void DecodeQ8_0(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockQ8_0, kBlockSize>(src, dst, n);
}
void DecodeQ2_K(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockQ2_K, kSuperBlockSize>(src, dst, n);
}
void DecodeQ3_K(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockQ3_K, kSuperBlockSize>(src, dst, n);
}
void DecodeQ4_K(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockQ4_K, kSuperBlockSize>(src, dst, n);
}
void DecodeQ5_K(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockQ5_K, kSuperBlockSize>(src, dst, n);
}
void DecodeQ6_K(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockQ6_K, kSuperBlockSize>(src, dst, n);
}
void DecodeIQ4_NL(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockIQ4_NL, kBlockSize>(src, dst, n);
}
void DecodeIQ4_XS(const uint8_t* src, float* dst, int64_t n) {
  DecodeRow<BlockIQ4_XS, kSuperBlockSize>(src, dst, n);
}

}  // namespace slm::quant
