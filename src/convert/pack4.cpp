#include "convert/pack4.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"

namespace slm::convert {
namespace {

constexpr int64_t kBlock = 32;
constexpr size_t kBlockBytes = 18;  // a half and 16 bytes of codes

}  // namespace

void PackQ4_0(const uint8_t* row, int64_t n, uint8_t* codes, uint16_t* scales) {
  for (int64_t block = 0; block < n / kBlock; ++block) {
    std::memcpy(scales++, row, sizeof(uint16_t));
    // Byte i has elements i, low, and i + 16, high; words have neighbours side by side.
    const uint8_t* in = row + sizeof(uint16_t);
    for (int i = 0; i < 16; i += 2) {
      codes[i / 2] = static_cast<uint8_t>((in[i] & 15) | (in[i + 1] & 15) << 4);
      codes[8 + i / 2] = static_cast<uint8_t>(in[i] >> 4 | (in[i + 1] >> 4) << 4);
    }
    codes += kBlock / 2;
    row += kBlockBytes;
  }
}

bool PackFloats(const float* row, int64_t n, int64_t group_size, uint8_t* codes, uint16_t* scales) {
  for (const float* group = row; group < row + n; group += group_size) {
    float largest = 0;
    for (int64_t i = 0; i < group_size; ++i)
      if (!(std::abs(group[i]) <= std::abs(largest)) && !std::isnan(largest)) largest = group[i];
    const float scale = largest / -8;
    *scales = FloatToHalf(scale);
    if (!std::isfinite(HalfToFloat(*scales++))) return false;
    const float inverse = scale == 0 ? 0 : 1 / scale;
    for (int64_t i = 0; i < group_size; i += 2) {
      const auto code = [&](float x) {
        return static_cast<int>(std::min(15.0f, std::max(0.0f, x * inverse + 8.5f)));
      };
      *codes++ = static_cast<uint8_t>(code(group[i]) | code(group[i + 1]) << 4);
    }
  }
  return true;
}

}  // namespace slm::convert
