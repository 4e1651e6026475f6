#include <cstring>

#include "base/error.h"
#include "quant/packed.h"

namespace slm::quant {
namespace {

// Elements 0..15 low, 16..31 high, of 16 bytes.
void JoinNibbles(const uint8_t* code, uint8_t* qs) {
  for (int i = 0; i < 16; ++i)
    qs[i] = static_cast<uint8_t>((code[i] & 15) | (code[16 + i] & 15) << 4);
}

// Bit 4 of 32 codes.
void JoinFifthBits(const uint8_t* code, uint8_t qh[4]) {
  uint32_t bits = 0;
  for (int i = 0; i < 32; ++i) bits |= static_cast<uint32_t>(code[i] >> 4 & 1) << i;
  std::memcpy(qh, &bits, 4);
}

// Bits `shift` and `shift` + 1 of 256 codes, as qs of Q2_K and Q3_K and qh of Q6_K hold them.
void JoinPairs(const uint8_t* code, int shift, uint8_t qs[64]) {
  for (int h = 0; h < 2; ++h)
    for (int l = 0; l < 32; ++l) {
      int byte = 0;
      for (int j = 0; j < 4; ++j) byte |= (code[128 * h + 32 * j + l] >> shift & 3) << (2 * j);
      qs[32 * h + l] = static_cast<uint8_t>(byte);
    }
}

void JoinQ4K(const IntegerBlock& in, uint8_t qs[128], uint8_t scales[12]) {
  for (int j = 0; j < 4; ++j)
    for (int l = 0; l < 32; ++l)
      qs[32 * j + l] =
          static_cast<uint8_t>((in.code[64 * j + l] & 15) | (in.code[64 * j + 32 + l] & 15) << 4);
  for (int s = 0; s < 4; ++s) {
    const int scale = in.scale[s + 4], min = in.min[s + 4];
    scales[s] = static_cast<uint8_t>(in.scale[s] | (scale >> 4) << 6);
    scales[s + 4] = static_cast<uint8_t>(in.min[s] | (min >> 4) << 6);
    scales[s + 8] = static_cast<uint8_t>((scale & 15) | (min & 15) << 4);
  }
}

void Join(const IntegerBlock& in, BlockQ8_0* b) {
  std::memcpy(b->qs, in.code, 32);
  b->d = in.d;
}
void Join(const IntegerBlock& in, BlockQ4_0* b) {
  JoinNibbles(in.code, b->qs);
  b->d = in.d;
}
void Join(const IntegerBlock& in, BlockIQ4_NL* b) {
  JoinNibbles(in.code, b->qs);
  b->d = in.d;
}
void Join(const IntegerBlock& in, BlockQ4_1* b) {
  JoinNibbles(in.code, b->qs);
  b->d = in.d, b->m = in.m;
}
void Join(const IntegerBlock& in, BlockQ5_0* b) {
  JoinNibbles(in.code, b->qs);
  JoinFifthBits(in.code, b->qh);
  b->d = in.d;
}
void Join(const IntegerBlock& in, BlockQ5_1* b) {
  JoinNibbles(in.code, b->qs);
  JoinFifthBits(in.code, b->qh);
  b->d = in.d, b->m = in.m;
}
void Join(const IntegerBlock& in, BlockQ2_K* b) {
  for (int s = 0; s < 16; ++s) b->scales[s] = static_cast<uint8_t>(in.scale[s] | in.min[s] << 4);
  JoinPairs(in.code, 0, b->qs);
  b->d = in.d, b->dmin = in.m;
}
void Join(const IntegerBlock& in, BlockQ3_K* b) {
  JoinPairs(in.code, 0, b->qs);
  for (int l = 0; l < 32; ++l) {
    int byte = 0;
    for (int j = 0; j < 8; ++j) byte |= (in.code[32 * j + l] >> 2 & 1) << j;
    b->hmask[l] = static_cast<uint8_t>(byte);
  }
  std::memset(b->scales, 0, sizeof b->scales);
  for (int s = 0; s < 16; ++s) {
    const int scale = in.scale[s] + 32;
    b->scales[s % 8] = static_cast<uint8_t>(b->scales[s % 8] | (scale & 15) << (s < 8 ? 0 : 4));
    uint8_t& high = b->scales[8 + s % 4];
    high = static_cast<uint8_t>(high | (scale >> 4) << (2 * (s / 4)));
  }
  b->d = in.d;
}
void Join(const IntegerBlock& in, BlockQ4_K* b) {
  JoinQ4K(in, b->qs, b->scales);
  b->d = in.d, b->dmin = in.m;
}
void Join(const IntegerBlock& in, BlockQ5_K* b) {
  JoinQ4K(in, b->qs, b->scales);
  for (int l = 0; l < 32; ++l) {
    int byte = 0;
    for (int s = 0; s < 8; ++s) byte |= (in.code[32 * s + l] >> 4 & 1) << s;
    b->qh[l] = static_cast<uint8_t>(byte);
  }
  b->d = in.d, b->dmin = in.m;
}
void Join(const IntegerBlock& in, BlockQ6_K* b) {
  for (int h = 0; h < 2; ++h)
    for (int l = 0; l < 64; ++l)
      b->ql[64 * h + l] =
          static_cast<uint8_t>((in.code[128 * h + l] & 15) | (in.code[128 * h + 64 + l] & 15) << 4);
  JoinPairs(in.code, 4, b->qh);
  std::memcpy(b->scales, in.scale, 16);
  b->d = in.d;
}
void Join(const IntegerBlock& in, BlockIQ4_XS* b) {
  std::memset(b->scales_l, 0, sizeof b->scales_l);
  b->scales_h = 0;
  for (int s = 0; s < 8; ++s) {
    const int scale = in.scale[s] + 32;
    b->scales_l[s / 2] = static_cast<uint8_t>(b->scales_l[s / 2] | (scale & 15) << (4 * (s % 2)));
    b->scales_h = static_cast<uint16_t>(b->scales_h | (scale >> 4) << (2 * s));
    JoinNibbles(in.code + 32 * s, b->qs + 16 * s);
  }
  b->d = in.d;
}

template <class Block>
void Write(const IntegerBlock& in, uint8_t* to) {
  Block block;
  Join(in, &block);
  std::memcpy(to, &block, sizeof block);
}

}  // namespace

void FromIntegers(Type type, const IntegerBlock& in, uint8_t* block) {
  switch (type) {
    case Type::kQ8_0:
      return Write<BlockQ8_0>(in, block);
    case Type::kQ4_0:
      return Write<BlockQ4_0>(in, block);
    case Type::kQ4_1:
      return Write<BlockQ4_1>(in, block);
    case Type::kQ5_0:
      return Write<BlockQ5_0>(in, block);
    case Type::kQ5_1:
      return Write<BlockQ5_1>(in, block);
    case Type::kIQ4_NL:
      return Write<BlockIQ4_NL>(in, block);
    case Type::kQ2_K:
      return Write<BlockQ2_K>(in, block);
    case Type::kQ3_K:
      return Write<BlockQ3_K>(in, block);
    case Type::kQ4_K:
      return Write<BlockQ4_K>(in, block);
    case Type::kQ5_K:
      return Write<BlockQ5_K>(in, block);
    case Type::kQ6_K:
      return Write<BlockQ6_K>(in, block);
    case Type::kIQ4_XS:
      return Write<BlockIQ4_XS>(in, block);
    case Type::kF32:
    case Type::kF16:
    case Type::kBF16:
    case Type::kNF4:
      break;
  }
  SLM_CHECK(false);
}

}  // namespace slm::quant
