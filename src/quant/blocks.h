// The blocks of the quantized types as they lie in a file, little-endian, without padding.
//
// `d`, `m`, `dmin` are IEEE halves kept as bits. "element" counts inside the block. The formulas
// are evaluated in float32 from left to right as written, without fusing. Layouts and formulas are
// those of GGML (ggml-common.h, ggml-quants.c).
#pragma once

#include <bit>
#include <cstdint>

namespace slm::quant {

static_assert(std::endian::native == std::endian::little, "blocks are read in place");

inline constexpr int kBlockSize = 32;        // elements of the simple types
inline constexpr int kSuperBlockSize = 256;  // elements of the _K types and IQ4_XS

// The simple types: for i < 16, element i is the low nibble of qs[i], element 16 + i the high one.

struct BlockQ4_0 {  // d * (q - 8)
  uint16_t d;
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

struct BlockQ4_1 {  // d * q + m
  uint16_t d;
  uint16_t m;
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

struct BlockQ5_0 {  // d * (q - 16), q = nibble + 16 * bit
  uint16_t d;
  uint8_t qh[4];  // a little-endian uint32: its bit i belongs to element i
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

struct BlockQ5_1 {  // d * q + m, q as in Q5_0
  uint16_t d;
  uint16_t m;
  uint8_t qh[4];
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

struct BlockQ8_0 {  // d * qs[i]
  uint16_t d;
  int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

struct BlockIQ4_NL {  // d * kIq4NlValues[q]
  uint16_t d;
  uint8_t qs[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

// The _K types. Q2_K, Q3_K and Q6_K have 16 sub-blocks of 16 elements, Q4_K and Q5_K 8 of 32;
// sub-block s holds consecutive elements. For h < 2, j < 4, l < 32 (halves of 128 elements):

struct BlockQ2_K {     // (d * scale) * q - dmin * min
  uint8_t scales[16];  // of sub-block s: scale in the low nibble, min in the high one
  uint8_t qs[64];      // element 128 h + 32 j + l is bits 2 j, 2 j + 1 of qs[32 h + l]
  uint16_t d;
  uint16_t dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

struct BlockQ3_K {  // (d * (scale - 32)) * q, q = two bits - (hmask bit ? 0 : 4)
  uint8_t
      hmask[32];   // element 128 h + 32 j + l is bit 4 h + j of hmask[l]; set means "not minus 4"
  uint8_t qs[64];  // as in Q2_K
  uint8_t scales[12];  // 16 of 6 bits, see UnpackScaleQ3K
  uint16_t d;
};
static_assert(sizeof(BlockQ3_K) == 110);

struct BlockQ4_K {  // (d * scale) * q - dmin * min
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];  // 8 scales and 8 mins of 6 bits, see UnpackScaleMinK4
  uint8_t qs[128];     // for j < 4: qs[32 j + l] has element 64 j + l low, 64 j + 32 + l high
};
static_assert(sizeof(BlockQ4_K) == 144);

struct BlockQ5_K {  // as Q4_K, q = nibble + 16 * bit
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qh[32];   // bit s of qh[l] belongs to element 32 s + l
  uint8_t qs[128];  // as in Q4_K
};
static_assert(sizeof(BlockQ5_K) == 176);

struct BlockQ6_K {  // (d * scale) * (q - 32), q = nibble + 16 * two bits
  uint8_t ql[128];  // element 128 h + 32 j + l: nibble of ql[64 h + 32 (j % 2) + l], high if j > 1
  uint8_t qh[64];   // and bits 2 j, 2 j + 1 of qh[32 h + l]
  int8_t scales[16];
  uint16_t d;
};
static_assert(sizeof(BlockQ6_K) == 210);

struct BlockIQ4_XS {  // (d * (scale - 32)) * kIq4NlValues[q], 8 sub-blocks of 32
  uint16_t d;
  uint16_t scales_h;    // bits 2 s, 2 s + 1: the high bits of scale s
  uint8_t scales_l[4];  // nibble s (low first): the low bits of scale s
  uint8_t qs[128];      // qs[16 s + i] has element 32 s + i low, 32 s + 16 + i high (i < 16)
};
static_assert(sizeof(BlockIQ4_XS) == 136);

// The 16 levels of IQ4_NL and IQ4_XS.
inline constexpr int8_t kIq4NlValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                            1,    13,   25,  38,  53,  69,  89,  113};

// Scale and min of sub-block s < 8 of Q4_K and Q5_K. Bytes 0-3 hold scales 0-3, bytes 4-7 mins
// 0-3, six bits each; bytes 8-11 hold the low nibbles of scale and min 4-7, whose high two bits
// are on top of bytes 0-3 and 4-7.
inline void UnpackScaleMinK4(const uint8_t scales[12], int s, uint8_t* scale, uint8_t* min) {
  if (s < 4) {
    *scale = scales[s] & 63;
    *min = scales[s + 4] & 63;
  } else {
    *scale = static_cast<uint8_t>((scales[s + 4] & 15) | ((scales[s - 4] >> 6) << 4));
    *min = static_cast<uint8_t>((scales[s + 4] >> 4) | ((scales[s] >> 6) << 4));
  }
}

// Scale of sub-block s < 16 of Q3_K, minus 32: in [-32, 31]. Bytes 0-7 hold the low nibbles (of
// scales 0-7 low, 8-15 high), bytes 8-11 the high two bits: scale s at bits 2 (s / 4) of byte
// 8 + s % 4.
inline int UnpackScaleQ3K(const uint8_t scales[12], int s) {
  const int low = (scales[s % 8] >> (s < 8 ? 0 : 4)) & 15;
  const int high = (scales[8 + s % 4] >> (2 * (s / 4))) & 3;
  return (low | (high << 4)) - 32;
}

// Scale of sub-block s < 8 of IQ4_XS, minus 32: in [-32, 31].
inline int UnpackScaleIQ4XS(const BlockIQ4_XS& block, int s) {
  const int low = (block.scales_l[s / 2] >> (4 * (s % 2))) & 15;
  const int high = (block.scales_h >> (2 * s)) & 3;
  return (low | (high << 4)) - 32;
}

}  // namespace slm::quant
