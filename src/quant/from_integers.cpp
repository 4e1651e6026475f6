// The way back of ToIntegers: codes and scales into a block as it lies in a file.
#include <cstring>

#include "base/error.h"
#include "quant/packed.h"

namespace slm::quant {
namespace {

void JoinNibbles(const uint8_t* code, uint8_t* qs) {
  for (int i = 0; i < 16; ++i)
    qs[i] = static_cast<uint8_t>((code[i] & 15) | (code[16 + i] & 15) << 4);
}

void HighBits(const uint8_t* code, uint8_t qh[4]) {
  uint32_t bits = 0;
  for (int i = 0; i < 32; ++i) bits |= uint32_t{code[i] >> 4 & 1u} << i;
  std::memcpy(qh, &bits, 4);
}

void PackScaleMinK4(const IntegerBlock& x, uint8_t scales[12]) {
  for (int s = 0; s < 4; ++s) {
    const auto scale = [&](int i) { return static_cast<uint8_t>(x.scale[i]); };
    scales[s] = static_cast<uint8_t>((scale(s) & 63) | scale(s + 4) >> 4 << 6);
    scales[s + 4] = static_cast<uint8_t>((x.min[s] & 63) | x.min[s + 4] >> 4 << 6);
    scales[s + 8] = static_cast<uint8_t>((scale(s + 4) & 15) | (x.min[s + 4] & 15) << 4);
  }
}

void PackScaleQ3K(const int8_t scale[16], uint8_t scales[12]) {
  std::memset(scales, 0, 12);
  for (int s = 0; s < 16; ++s) {
    const unsigned code = static_cast<unsigned>(scale[s] + 32);
    scales[s % 8] = static_cast<uint8_t>(scales[s % 8] | (code & 15) << (s < 8 ? 0 : 4));
    scales[8 + s % 4] = static_cast<uint8_t>(scales[8 + s % 4] | (code >> 4) << (2 * (s / 4)));
  }
}

// Bits 0 and 1 of each code, as Q2_K and Q3_K have them.
void PackPairs(const uint8_t code[256], uint8_t qs[64]) {
  std::memset(qs, 0, 64);
  for (int i = 0; i < 256; ++i) {
    uint8_t& byte = qs[32 * (i / 128) + i % 32];
    byte = static_cast<uint8_t>(byte | (code[i] & 3) << (2 * (i / 32 % 4)));
  }
}

void PackQ4K(const uint8_t code[256], uint8_t qs[128]) {
  for (int j = 0; j < 4; ++j)
    for (int l = 0; l < 32; ++l)
      qs[32 * j + l] =
          static_cast<uint8_t>((code[64 * j + l] & 15) | (code[64 * j + 32 + l] & 15) << 4);
}

template <class Block>
void Store(const Block& b, uint8_t* block) {
  std::memcpy(block, &b, sizeof b);
}

}  // namespace

void FromIntegers(Type type, const IntegerBlock& x, uint8_t* block) {
  switch (type) {
    case Type::kQ8_0: {
      BlockQ8_0 b{.d = x.d, .qs = {}};
      std::memcpy(b.qs, x.code, 32);
      return Store(b, block);
    }
    case Type::kQ4_0: {
      BlockQ4_0 b{.d = x.d, .qs = {}};
      JoinNibbles(x.code, b.qs);
      return Store(b, block);
    }
    case Type::kIQ4_NL: {
      BlockIQ4_NL b{.d = x.d, .qs = {}};
      JoinNibbles(x.code, b.qs);
      return Store(b, block);
    }
    case Type::kQ4_1: {
      BlockQ4_1 b{.d = x.d, .m = x.m, .qs = {}};
      JoinNibbles(x.code, b.qs);
      return Store(b, block);
    }
    case Type::kQ5_0: {
      BlockQ5_0 b{.d = x.d, .qh = {}, .qs = {}};
      JoinNibbles(x.code, b.qs);
      HighBits(x.code, b.qh);
      return Store(b, block);
    }
    case Type::kQ5_1: {
      BlockQ5_1 b{.d = x.d, .m = x.m, .qh = {}, .qs = {}};
      JoinNibbles(x.code, b.qs);
      HighBits(x.code, b.qh);
      return Store(b, block);
    }
    case Type::kQ2_K: {
      BlockQ2_K b{.scales = {}, .qs = {}, .d = x.d, .dmin = x.m};
      for (int s = 0; s < 16; ++s)
        b.scales[s] = static_cast<uint8_t>((x.scale[s] & 15) | x.min[s] << 4);
      PackPairs(x.code, b.qs);
      return Store(b, block);
    }
    case Type::kQ3_K: {
      BlockQ3_K b{.hmask = {}, .qs = {}, .scales = {}, .d = x.d};
      PackPairs(x.code, b.qs);
      for (int i = 0; i < 256; ++i)
        b.hmask[i % 32] = static_cast<uint8_t>(b.hmask[i % 32] | (x.code[i] >> 2 & 1) << (i / 32));
      PackScaleQ3K(x.scale, b.scales);
      return Store(b, block);
    }
    case Type::kQ4_K: {
      BlockQ4_K b{.d = x.d, .dmin = x.m, .scales = {}, .qs = {}};
      PackScaleMinK4(x, b.scales);
      PackQ4K(x.code, b.qs);
      return Store(b, block);
    }
    case Type::kQ5_K: {
      BlockQ5_K b{.d = x.d, .dmin = x.m, .scales = {}, .qh = {}, .qs = {}};
      PackScaleMinK4(x, b.scales);
      PackQ4K(x.code, b.qs);
      for (int i = 0; i < 256; ++i)
        b.qh[i % 32] = static_cast<uint8_t>(b.qh[i % 32] | (x.code[i] >> 4 & 1) << (i / 32));
      return Store(b, block);
    }
    case Type::kQ6_K: {
      BlockQ6_K b{.ql = {}, .qh = {}, .scales = {}, .d = x.d};
      std::memcpy(b.scales, x.scale, 16);
      for (int i = 0; i < 256; ++i) {
        const int h = i / 128, j = i / 32 % 4, l = i % 32;
        uint8_t& low = b.ql[64 * h + 32 * (j % 2) + l];
        low = static_cast<uint8_t>(low | (x.code[i] & 15) << (4 * (j / 2)));
        uint8_t& high = b.qh[32 * h + l];
        high = static_cast<uint8_t>(high | (x.code[i] >> 4 & 3) << (2 * j));
      }
      return Store(b, block);
    }
    case Type::kIQ4_XS: {
      BlockIQ4_XS b{.d = x.d, .scales_h = 0, .scales_l = {}, .qs = {}};
      for (int s = 0; s < 8; ++s) {
        const unsigned code = static_cast<unsigned>(x.scale[s] + 32);
        b.scales_l[s / 2] = static_cast<uint8_t>(b.scales_l[s / 2] | (code & 15) << (4 * (s % 2)));
        b.scales_h = static_cast<uint16_t>(b.scales_h | (code >> 4) << (2 * s));
        JoinNibbles(x.code + 32 * s, b.qs + 16 * s);
      }
      return Store(b, block);
    }
    case Type::kF32:
    case Type::kF16:
    case Type::kBF16:
      break;
  }
  SLM_CHECK(false);
}

}  // namespace slm::quant
