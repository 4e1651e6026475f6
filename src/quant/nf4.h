// NF4, as bitsandbytes has it: 4-bit codes for the quantiles of a normal distribution, in blocks of
// consecutive elements of a tensor (not of a row) with one largest magnitude each, and those again
// in 8 bits. Dettmers et al., "QLoRA" (arXiv 2305.14314); formats of bitsandbytes 0.50.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace slm::quant {

inline constexpr int64_t kNf4Block = 64;      // elements with one absmax
inline constexpr int64_t kNestedBlock = 256;  // absmaxes with one scale

extern const std::array<float, 16> kNf4Values;

// The largest magnitudes of n / block blocks (the last may be short), and the codes, two a byte,
// the first in the high half. A block of zeros has the code of zero, 7, as on bitsandbytes' CPU;
// its CUDA code gives 0 there, which means -0.
void EncodeNf4(std::span<const float> x, int64_t block, uint8_t* codes, float* absmax);

// kNf4Values[code] * absmax.
void DecodeNf4(const uint8_t* codes, const float* absmax, int64_t block, std::span<float> out);

// The 256 values that absmaxes are rounded to, ascending: a sign, an exponent of ten and the
// fraction that is left of 8 bits.
const std::array<float, 256>& DynamicMap();

// absmax[i] is about map[codes[i]] * scales[i / 256] + offset.
struct NestedAbsmax {
  float offset = 0;
  std::vector<uint8_t> codes;
  std::vector<float> scales;
};

// Codes are those of the nearest values. The offset is the mean of all; what bitsandbytes stored is
// to be read back and not computed anew, as the order of its sum depends on the device.
NestedAbsmax EncodeAbsmax(std::span<const float> absmax);
NestedAbsmax EncodeAbsmax(std::span<const float> absmax, float offset);

// map[code] * scale + offset, rounded twice.
void DecodeAbsmax(std::span<const uint8_t> codes, const float* scales, float offset,
                  std::span<const float> map, std::span<float> out);

}  // namespace slm::quant
