// Floats to test with, and comparison of their bits.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <span>
#include <vector>

namespace slm::testing {

// What inputs are made of. kFinite mixes magnitudes from subnormal to 1e30, zeros of both signs and
// ordinary values; kAny adds infinities, NaN and the largest floats.
enum class Values { kNormal, kFinite, kAny };
inline constexpr Values kAllValues[] = {Values::kNormal, Values::kFinite, Values::kAny};

const char* NameOf(Values values);
std::vector<float> MakeFloats(Values values, size_t n, std::mt19937& rng);

// Equal bits; any NaN equals any NaN, whose payloads no rule of IEEE fixes.
::testing::AssertionResult SameBits(std::span<const float> got, std::span<const float> expected);

// A copy of `values` with some floats behind it that must stay as they are.
class Guarded {
 public:
  explicit Guarded(size_t n) : Guarded(std::vector<float>(n, -7.0f)) {}
  explicit Guarded(std::span<const float> values);

  float* data() { return storage_.data(); }
  std::span<const float> values() const { return {storage_.data(), n_}; }
  bool IsIntact() const;

 private:
  size_t n_;
  std::vector<float> storage_;
};

}  // namespace slm::testing
