// The encoders that search: what they promise, how near to the best possible they come, and that
// they are not worse than GGML's.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/half.h"
#include "quant/packed.h"
#include "quant/type.h"

namespace slm::quant {
namespace {

std::vector<Type> QuantizedTypes() {
  std::vector<Type> types;
  for (const TypeTraits& traits : AllTypes())
    if (GridOf(traits.type).bits != 0) types.push_back(traits.type);
  return types;
}

std::vector<uint8_t> Encode(Type type, const std::vector<float>& x,
                            const std::vector<float>& importance = {}) {
  const TypeTraits& traits = Traits(type);
  std::vector<uint8_t> bytes(x.size() / static_cast<size_t>(traits.block_size) *
                             traits.block_bytes);
  traits.encode_weighted(x.data(), importance.empty() ? nullptr : importance.data(), bytes.data(),
                         static_cast<int64_t>(x.size()));
  return bytes;
}

std::vector<float> Decode(Type type, const std::vector<uint8_t>& bytes) {
  const TypeTraits& traits = Traits(type);
  std::vector<float> y(bytes.size() / traits.block_bytes * static_cast<size_t>(traits.block_size));
  traits.decode(bytes.data(), y.data(), static_cast<int64_t>(y.size()));
  return y;
}

double SquaredError(const std::vector<float>& x, const std::vector<float>& y,
                    const std::vector<float>& importance = {}) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double e = static_cast<double>(x[i]) - y[i];
    sum += (importance.empty() ? 1.0 : importance[i]) * e * e;
  }
  return sum;
}

double ErrorOf(Type type, const std::vector<float>& x, const std::vector<float>& importance = {}) {
  return SquaredError(x, Decode(type, Encode(type, x, importance)), importance);
}

std::vector<float> Normal(size_t n, uint32_t seed, float size = 1.0f) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0, size);
  std::vector<float> x(n);
  for (float& v : x) v = normal(rng);
  return x;
}

std::vector<float> Skewed(size_t n, uint32_t seed) {
  std::vector<float> x = Normal(n, seed);
  for (float& v : x) v = std::exp(1.5f * v);
  return x;
}

// How fine a type is: the largest error of a value in [-1, 1], with room for coarse scales.
float StepOf(Type type) {
  const Grid grid = GridOf(type);
  return 2.0f / static_cast<float>((1 << grid.bits) - (grid.has_min ? 1 : 2));
}

TEST(FromIntegers, UndoesToIntegers) {
  std::mt19937 rng(1);
  for (const Type type : QuantizedTypes())
    for (int i = 0; i < 50; ++i) {
      std::vector<uint8_t> block(Traits(type).block_bytes), again(block.size());
      for (uint8_t& b : block) b = static_cast<uint8_t>(rng());
      IntegerBlock integers;
      ToIntegers(type, block.data(), &integers);
      FromIntegers(type, integers, again.data());
      ASSERT_EQ(block, again) << Traits(type).name;
    }
}

TEST(EncodeWeighted, NothingToDo) {
  for (const TypeTraits& traits : AllTypes()) traits.encode_weighted(nullptr, nullptr, nullptr, 0);
}

TEST(EncodeWeighted, FloatTypesIgnoreImportance) {
  const std::vector<float> x = Normal(64, 2), importance = Skewed(64, 3);
  for (const Type type : {Type::kF32, Type::kF16, Type::kBF16})
    EXPECT_EQ(Encode(type, x, importance), Encode(type, x));
}

TEST(EncodeWeighted, WithoutImportanceSimpleTypesRoundAsTheReference) {
  const std::vector<float> x = Normal(512, 4);
  for (const Type type : {Type::kQ4_0, Type::kQ4_1, Type::kQ5_0, Type::kQ5_1, Type::kQ8_0}) {
    std::vector<uint8_t> reference(x.size() / 32 * Traits(type).block_bytes);
    Traits(type).encode(x.data(), reference.data(), static_cast<int64_t>(x.size()));
    EXPECT_EQ(Encode(type, x), reference) << Traits(type).name;
  }
}

TEST(EncodeWeighted, ZerosStayZeros) {
  for (const Type type : QuantizedTypes())
    for (const float zero : {0.0f, -0.0f}) {
      const std::vector<float> x(512, zero);
      for (const std::vector<float>& importance : {std::vector<float>{}, Skewed(512, 5)})
        for (const float y : Decode(type, Encode(type, x, importance))) ASSERT_EQ(y, 0.0f);
    }
}

TEST(EncodeWeighted, WhatIsNotFiniteCountsAsZero) {
  for (const Type type : QuantizedTypes()) {
    const std::vector<float> importance(512, 1.0f);
    std::vector<float> clean = Normal(512, 6), x = clean;
    const float inf = std::numeric_limits<float>::infinity();
    const float bad[] = {inf, -inf, std::nanf("")};
    for (size_t i = 0; i < x.size(); i += 19) {
      clean[i] = 0;
      x[i] = bad[i % 3];
    }
    EXPECT_EQ(Encode(type, x, importance), Encode(type, clean, importance)) << Traits(type).name;
    // Of importance, what is not a number or negative is 0, and what is infinite is a lot.
    std::vector<float> worst(512, 1.0f);
    worst[3] = std::nanf(""), worst[40] = -5, worst[300] = inf;
    for (const float y : Decode(type, Encode(type, clean, worst))) ASSERT_TRUE(std::isfinite(y));
  }
}

TEST(EncodeWeighted, AnyMagnitudeGivesFiniteBlocks) {
  const float magnitudes[] = {1e-45f, 1e-38f, 1e-12f, 1e-7f, 1e-4f, 1.0f, 1e4f, 1e7f, 1e20f, 3e38f};
  for (const Type type : QuantizedTypes())
    for (const float magnitude : magnitudes) {
      std::vector<float> x = Normal(512, 7);
      for (float& v : x) v = std::clamp(v / 4, -1.0f, 1.0f) * magnitude;
      const std::vector<float> y = Decode(type, Encode(type, x, Skewed(512, 8)));
      for (size_t i = 0; i < x.size(); ++i) {
        ASSERT_TRUE(std::isfinite(y[i])) << Traits(type).name << " " << magnitude;
        ASSERT_LE(std::fabs(y[i]), 2 * magnitude + 1e-6f) << Traits(type).name << " " << magnitude;
      }
    }
}

// Where halves have all their bits, a power of two more changes d and nothing else.
TEST(EncodeWeighted, PowersOfTwoPassThrough) {
  const std::vector<float> x = Normal(512, 9), importance = Skewed(512, 10);
  std::vector<float> more = x, heavier = importance;
  for (float& v : more) v *= 16;
  for (float& v : heavier) v *= 0x1p-20f;
  for (const Type type : QuantizedTypes()) {
    std::vector<float> y = Decode(type, Encode(type, x, importance));
    EXPECT_EQ(Encode(type, x, heavier), Encode(type, x, importance)) << Traits(type).name;
    for (float& v : y) v *= 16;
    EXPECT_EQ(Decode(type, Encode(type, more, importance)), y) << Traits(type).name;
  }
}

TEST(EncodeWeighted, OnlyRatiosOfImportanceCount) {
  const std::vector<float> x = Normal(512, 11);
  for (const Type type : QuantizedTypes()) {
    const std::vector<uint8_t> ones = Encode(type, x, std::vector<float>(512, 1.0f));
    EXPECT_EQ(Encode(type, x, std::vector<float>(512, 0.0f)), ones) << Traits(type).name;
    EXPECT_EQ(Encode(type, x, std::vector<float>(512, 8.0f)), ones) << Traits(type).name;
  }
}

// Codes of least squares alone would make large values smaller, nearly all of them; with few bits
// by enough to matter.
TEST(EncodeWeighted, WithoutImportanceLargeValuesKeepTheirSize) {
  const std::vector<float> x = Normal(16384, 11), ones(x.size(), 1.0f);
  const auto shrinkage = [&](const std::vector<float>& y) {
    double product = 0, square = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      product += static_cast<double>(x[i] * y[i]);
      square += static_cast<double>(x[i] * x[i]);
    }
    return 1 - product / square;
  };
  for (const Type type : {Type::kQ2_K, Type::kQ3_K}) {
    const double plain = shrinkage(Decode(type, Encode(type, x)));
    EXPECT_LT(std::abs(plain), 0.95 * shrinkage(Decode(type, Encode(type, x, ones))))
        << Traits(type).name;
  }
}

// Blocks are encoded many at a time; none may see its neighbours.
TEST(EncodeWeighted, BlocksAreIndependent) {
  const std::vector<float> x = Normal(7 * 256, 12), importance = Skewed(x.size(), 13);
  for (const Type type : QuantizedTypes()) {
    const size_t size = static_cast<size_t>(Traits(type).block_size);
    std::vector<uint8_t> one_by_one;
    for (size_t at = 0; at < x.size(); at += size) {
      const auto part = [&](const std::vector<float>& all) {
        return std::vector<float>(all.begin() + static_cast<int64_t>(at),
                                  all.begin() + static_cast<int64_t>(at + size));
      };
      const std::vector<uint8_t> block = Encode(type, part(x), part(importance));
      one_by_one.insert(one_by_one.end(), block.begin(), block.end());
    }
    EXPECT_EQ(Encode(type, x, importance), one_by_one) << Traits(type).name;
  }
}

// What no search should get wrong: constants, alternating signs, ramps, an outlier.
TEST(EncodeWeighted, ErrorsStayWithinAStep) {
  std::vector<std::vector<float>> inputs(7, std::vector<float>(256));
  for (size_t i = 0; i < 256; ++i) {
    inputs[0][i] = 0.75f;
    inputs[1][i] = -0.75f;
    inputs[2][i] = i % 2 ? 1.0f : -1.0f;
    inputs[3][i] = static_cast<float>(i % 32) / 31;
    inputs[4][i] = static_cast<float>(i) / 127.5f - 1;
    inputs[5][i] = i == 77 ? 1.0f : 0.0f;
    inputs[6][i] = std::sin(static_cast<float>(i * i % 997));
  }
  for (const Type type : QuantizedTypes())
    for (size_t n = 0; n < inputs.size(); ++n) {
      const std::vector<float> y =
          Decode(type, Encode(type, inputs[n], std::vector<float>(256, 1)));
      for (size_t i = 0; i < 256; ++i)
        ASSERT_LE(std::fabs(y[i] - inputs[n][i]), StepOf(type))
            << Traits(type).name << " input " << n << " at " << i;
      // Two values that any grid has, up to the rounding of d; but IQ4's is not symmetric.
      if (n == 5 || (n == 2 && !GridOf(type).is_table)) {
        ASSERT_LE(SquaredError(inputs[n], y), 256e-4) << Traits(type).name << " input " << n;
      }
    }
}

// Values that a block holds exactly come back, all but exactly.
TEST(EncodeWeighted, WhatWasDecodedComesBack) {
  for (const Type type : QuantizedTypes()) {
    const std::vector<float> x = Normal(16 * 256, 14), ones(x.size(), 1.0f);
    const std::vector<float> once = Decode(type, Encode(type, x, ones));
    const std::vector<float> twice = Decode(type, Encode(type, once, ones));
    EXPECT_LE(SquaredError(once, twice), 0.02 * SquaredError(x, once)) << Traits(type).name;
  }
}

TEST(EncodeWeighted, AnElementThatMattersAloneIsNearlyExact) {
  for (const Type type : QuantizedTypes()) {
    const std::vector<float> x = Normal(256, 15);
    double worst = 0;
    for (size_t at = 5; at < 256; at += 17) {
      std::vector<float> importance(256, 1e-6f);
      importance[at] = 1;
      const std::vector<float> y = Decode(type, Encode(type, x, importance));
      worst = std::max(worst, std::fabs(static_cast<double>(x[at]) - y[at]));
    }
    EXPECT_LE(worst, 0.15 * StepOf(type)) << Traits(type).name;
  }
}

TEST(EncodeWeighted, ImportanceLowersTheErrorThatItWeighs) {
  const std::vector<float> x = Normal(16 * 256, 16), importance = Skewed(x.size(), 17);
  for (const Type type : QuantizedTypes()) {
    const std::vector<float> plain = Decode(type, Encode(type, x, std::vector<float>(x.size(), 1)));
    const std::vector<float> weighted = Decode(type, Encode(type, x, importance));
    EXPECT_LT(SquaredError(x, weighted, importance), 0.95 * SquaredError(x, plain, importance));
    EXPECT_LT(SquaredError(x, plain), SquaredError(x, weighted)) << Traits(type).name;
  }
}

// --- Against every block there is

// The least error of n elements on the multiples of `scale`.
double NearestError(Type type, const float* x, const float* w, int n, float scale) {
  const Grid grid = GridOf(type);
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    double least = std::numeric_limits<double>::infinity();
    const int codes = 1 << grid.bits;
    for (int code = 0; code < codes; ++code) {
      const float y = scale * static_cast<float>(ValueOf(grid, static_cast<uint8_t>(code)));
      least = std::min(least, std::fabs(static_cast<double>(x[i]) - y));
    }
    sum += w[i] * least * least;
  }
  return sum;
}

// Of types without a min: over every d within reason and every scale.
double BestError(Type type, const float* x, const float* w) {
  const Grid grid = GridOf(type);
  const int groups = grid.block / grid.sub_block;
  float largest = 0;
  for (int i = 0; i < grid.block; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float values = grid.is_table ? 127 : static_cast<float>(1 << (grid.bits - 1));
  const float most = largest / values / (groups > 1 ? 31 : 1);
  double best = std::numeric_limits<double>::infinity();
  // Every fourth half: steps of 0.2 to 0.4 %.
  for (int h = FloatToHalf(most / 2); h <= FloatToHalf(most * 2); h += 4)
    for (const float sign : {1.0f, -1.0f}) {
      const float d = sign * HalfToFloat(static_cast<uint16_t>(h));
      double sum = 0;
      for (int g = 0; g < groups && sum < best; ++g) {
        double least = std::numeric_limits<double>::infinity();
        for (int scale = groups > 1 ? -32 : 1; scale <= (groups > 1 ? 31 : 1); ++scale)
          least = std::min(least, NearestError(type, x + g * grid.sub_block, w + g * grid.sub_block,
                                               grid.sub_block, d * static_cast<float>(scale)));
        sum += least;
      }
      best = std::min(best, sum);
    }
  return best;
}

TEST(EncodeWeighted, ComesNearTheBestBlockOfAll) {
  for (const Type type : {Type::kQ4_0, Type::kQ5_0, Type::kIQ4_NL, Type::kQ3_K}) {
    const size_t size = static_cast<size_t>(Traits(type).block_size);
    const std::vector<float> x = Normal(size == 32 ? 32 * 32 : 256, 18);
    const std::vector<float> importance = Skewed(x.size(), 19);
    double best = 0;
    for (size_t at = 0; at < x.size(); at += size)
      best += BestError(type, x.data() + at, importance.data() + at);
    const double got = ErrorOf(type, x, importance);
    EXPECT_LE(got, 1.05 * best) << Traits(type).name;
    EXPECT_GE(got, 0.99 * best) << Traits(type).name;  // or this test is wrong
  }
}

// Of Q4_1: over a fine grid of d and m.
TEST(EncodeWeighted, ComesNearTheBestPairOfScaleAndMin) {
  double best_sum = 0, got_sum = 0;
  for (uint32_t seed = 0; seed < 8; ++seed) {
    const std::vector<float> x = Normal(32, 20 + seed), w = Skewed(32, 40 + seed);
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    const float range = *high - *low;
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 120; ++i)
      for (int j = 0; j < 120; ++j) {
        const float d = range / 15 * (0.6f + 0.005f * static_cast<float>(i));
        const float m = *low + range * (0.3f * static_cast<float>(j) / 120 - 0.05f);
        double sum = 0;
        for (size_t k = 0; k < 32; ++k) {
          const float q = std::clamp(std::rint((x[k] - m) / d), 0.0f, 15.0f);
          const double e = static_cast<double>(x[k]) - (static_cast<double>(d) * q + m);
          sum += w[k] * e * e;
        }
        best = std::min(best, sum);
      }
    best_sum += best;
    got_sum += ErrorOf(Type::kQ4_1, x, w);
  }
  EXPECT_LE(got_sum, 1.05 * best_sum);
}

// --- Against GGML: tests/golden/quant_errors.txt, made by bench/peers/quantize_error.py.

// The script makes the same numbers.
class Numbers {
 public:
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Bell-shaped, in (-2, 2): the sum of four numbers of 16 bits.
  float Bell() {
    const uint64_t bits = Next();
    const int64_t sum = static_cast<int64_t>((bits & 0xffff) + (bits >> 16 & 0xffff) +
                                             (bits >> 32 & 0xffff) + (bits >> 48));
    return static_cast<float>(sum - 131070) / 65536.0f;
  }

 private:
  uint64_t state_ = 0;
};

constexpr size_t kRows = 32, kColumns = 512;

TEST(EncodeWeighted, IsNotWorseThanGgml) {
  Numbers numbers;
  std::vector<float> x(kRows * kColumns), importance(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = numbers.Bell() * (i % 64 == 0 ? 4.0f : 1.0f) * 0.03125f;
  for (size_t i = 0; i < kColumns; ++i) {
    const float weight = 1.0f + static_cast<float>(numbers.Next() & 0xffff) / 4096.0f;
    for (size_t r = 0; r < kRows; ++r)
      importance[r * kColumns + i] = weight * (i % 64 == 0 ? 32.0f : 1.0f);
  }
  std::ifstream file("tests/golden/quant_errors.txt");
  ASSERT_TRUE(file);
  size_t seen = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    std::istringstream words(line);
    std::string name;
    double plain = 0, weighted = 0;
    words >> name >> plain >> weighted;
    const TypeTraits* traits = FindTypeByName(name);
    ASSERT_NE(traits, nullptr) << name;
    ++seen;
    EXPECT_LE(ErrorOf(traits->type, x), plain * (1 + 1e-9)) << name;
    EXPECT_LE(ErrorOf(traits->type, x, importance), weighted) << name;
  }
  EXPECT_EQ(seen, QuantizedTypes().size());
}

}  // namespace
}  // namespace slm::quant
