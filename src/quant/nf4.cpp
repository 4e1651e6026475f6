#include "quant/nf4.h"

#include <algorithm>
#include <cmath>

namespace slm::quant {
namespace {

// Between neighbours of kNf4Values; what is at one belongs to the lower.
constexpr float kLimits[15] = {-0.8480964004993439f,   -0.6106329262256622f,  -0.4599952697753906f,
                               -0.33967943489551544f,  -0.23460740596055984f, -0.13791173323988914f,
                               -0.045525018125772476f, 0.03979014977812767f,  0.1202552504837513f,
                               0.2035212516784668f,    0.2920137718319893f,   0.3893125355243683f,
                               0.5016634166240692f,    0.6427869200706482f,   0.8614784181118011f};

uint8_t CodeOf(float x) {
  uint8_t code = 0;
  for (const float limit : kLimits) code = static_cast<uint8_t>(code + (x > limit));
  return code;
}

// Values of both signs for each exponent of ten, between neighbours of evenly spaced points from
// 0.1 to 1: as PyTorch's linspace rounds them.
std::array<float, 256> MakeDynamicMap() {
  std::vector<float> values = {0.0f, 1.0f};
  for (int i = 0; i < 7; ++i) {
    const int points = (1 << i) + 1;
    const float step = 0.9f / static_cast<float>(points - 1);
    const auto point = [&](int p) {
      return p < points / 2 ? std::fma(step, static_cast<float>(p), 0.1f)
                            : std::fma(-step, static_cast<float>(points - 1 - p), 1.0f);
    };
    const auto power = static_cast<float>(std::pow(10.0, i - 6));
    for (int p = 0; p + 1 < points; ++p) {
      const float mean = (point(p) + point(p + 1)) / 2;
      values.push_back(mean * power);
      values.push_back(-mean * power);
    }
  }
  std::sort(values.begin(), values.end());
  std::array<float, 256> map;
  std::copy(values.begin(), values.end(), map.begin());
  return map;
}

uint8_t Nearest(const std::array<float, 256>& map, float x) {
  const auto above = std::lower_bound(map.begin(), map.end(), x);
  if (above == map.begin()) return 0;
  const auto below = above - 1;
  const bool is_above = above != map.end() && *above - x < x - *below;
  return static_cast<uint8_t>((is_above ? above : below) - map.begin());
}

float LargestOf(std::span<const float> x) {
  float largest = 0;
  for (const float value : x) largest = std::max(largest, std::fabs(value));
  return largest;
}

}  // namespace

const std::array<float, 16> kNf4Values = {-1.0f,
                                          -0.6961928009986877f,
                                          -0.5250730514526367f,
                                          -0.39491748809814453f,
                                          -0.28444138169288635f,
                                          -0.18477343022823334f,
                                          -0.09105003625154495f,
                                          0.0f,
                                          0.07958029955625534f,
                                          0.16093020141124725f,
                                          0.24611230194568634f,
                                          0.33791524171829224f,
                                          0.44070982933044434f,
                                          0.5626170039176941f,
                                          0.7229568362236023f,
                                          1.0f};

void EncodeNf4(std::span<const float> x, int64_t block, uint8_t* codes, float* absmax) {
  // Behind an odd number of elements stands the code of zero.
  for (size_t i = 0; i < (x.size() + 1) / 2; ++i)
    codes[i] = 2 * i + 1 < x.size() ? uint8_t{0} : CodeOf(0);
  const auto size = static_cast<size_t>(block);
  for (size_t first = 0; first < x.size(); first += size) {
    const std::span<const float> part = x.subspan(first, std::min(size, x.size() - first));
    const float largest = LargestOf(part), inverse = largest > 0 ? 1.0f / largest : 0.0f;
    *absmax++ = largest;
    for (size_t i = 0; i < part.size(); ++i) {
      const int shift = (first + i) % 2 == 0 ? 4 : 0;
      codes[(first + i) / 2] =
          static_cast<uint8_t>(codes[(first + i) / 2] | CodeOf(part[i] * inverse) << shift);
    }
  }
}

void DecodeNf4(const uint8_t* codes, const float* absmax, int64_t block, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const int code = (codes[i / 2] >> (i % 2 == 0 ? 4 : 0)) & 15;
    out[i] = kNf4Values[static_cast<size_t>(code)] * absmax[i / static_cast<size_t>(block)];
  }
}

const std::array<float, 256>& DynamicMap() {
  static const std::array<float, 256> map = MakeDynamicMap();
  return map;
}

NestedAbsmax EncodeAbsmax(std::span<const float> absmax) {
  double sum = 0;
  for (const float value : absmax) sum += static_cast<double>(value);
  return EncodeAbsmax(absmax, static_cast<float>(sum / static_cast<double>(absmax.size())));
}

NestedAbsmax EncodeAbsmax(std::span<const float> absmax, float offset) {
  NestedAbsmax nested;
  nested.offset = offset;
  std::vector<float> centred;
  for (const float value : absmax) centred.push_back(value - offset);
  for (size_t first = 0; first < centred.size(); first += kNestedBlock) {
    const auto part =
        std::span(centred).subspan(first, std::min<size_t>(kNestedBlock, centred.size() - first));
    const float largest = LargestOf(part), inverse = largest > 0 ? 1.0f / largest : 0.0f;
    nested.scales.push_back(largest);
    for (const float value : part) nested.codes.push_back(Nearest(DynamicMap(), value * inverse));
  }
  return nested;
}

void DecodeAbsmax(std::span<const uint8_t> codes, const float* scales, float offset,
                  std::span<const float> map, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const float scaled = map[codes[i]] * scales[i / kNestedBlock];
    out[i] = scaled + offset;
  }
}

}  // namespace slm::quant
