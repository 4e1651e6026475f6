#include "support/floats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace slm::testing {
namespace {

constexpr size_t kGuard = 19;
constexpr float kUntouched = -12345.0f;

}  // namespace

const char* NameOf(Values values) {
  switch (values) {
    case Values::kNormal:
      return "normal";
    case Values::kFinite:
      return "finite";
    case Values::kAny:
      return "any";
  }
  return "";
}

std::vector<float> MakeFloats(Values values, size_t n, std::mt19937& rng) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kLargest = std::numeric_limits<float>::max();
  std::normal_distribution<float> normal(0, 2);
  std::uniform_real_distribution<float> exponent(-149, 99);
  std::vector<float> x(n);
  for (float& v : x) {
    const float sign = rng() % 2 ? 1.0f : -1.0f;
    v = normal(rng);
    switch (values == Values::kNormal ? 9 : rng() % (values == Values::kAny ? 24 : 16)) {
      case 0:
        v = sign * 0.0f;
        break;
      case 1:
        v = sign * std::exp2(exponent(rng));
        break;
      case 2:  // subnormal
        v = sign * std::bit_cast<float>(static_cast<uint32_t>(rng() & 0x7fffffu));
        break;
      case 3:
        v *= 1e4f;
        break;
      case 4:
        v = std::round(v) + 0.5f;  // ties of rounding
        break;
      case 16:
        v = sign * kInfinity;
        break;
      case 17:
        v = sign * std::numeric_limits<float>::quiet_NaN();
        break;
      case 18:
        v = sign * kLargest;
        break;
    }
  }
  return x;
}

::testing::AssertionResult SameBits(std::span<const float> got, std::span<const float> expected) {
  if (got.size() != expected.size())
    return ::testing::AssertionFailure() << got.size() << " values, not " << expected.size();
  for (size_t i = 0; i < got.size(); ++i) {
    const auto a = std::bit_cast<uint32_t>(got[i]), b = std::bit_cast<uint32_t>(expected[i]);
    if (a == b || (std::isnan(got[i]) && std::isnan(expected[i]))) continue;
    return ::testing::AssertionFailure() << "[" << i << "] is " << got[i] << " (" << std::hex << a
                                         << "), not " << expected[i] << " (" << b << ")";
  }
  return ::testing::AssertionSuccess();
}

Guarded::Guarded(std::span<const float> values)
    : n_(values.size()), storage_(values.size() + kGuard, kUntouched) {
  std::copy(values.begin(), values.end(), storage_.begin());
}

bool Guarded::IsIntact() const {
  return std::all_of(storage_.begin() + static_cast<std::ptrdiff_t>(n_), storage_.end(),
                     [](float x) { return x == kUntouched; });
}

}  // namespace slm::testing
