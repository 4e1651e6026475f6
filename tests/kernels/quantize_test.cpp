// Activations in blocks of int8: what the properties say, and the same bits from every table.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "support/floats.h"
#include "support/tables.h"

namespace slm::kernels {
namespace {

using testing::Values;

// Both formats through one interface; Act256 has no `sum`.
template <class Act>
struct Format;
template <>
struct Format<Act32> {
  static constexpr int kBlock = 32;
  static std::vector<Act32> Quantize(const KernelTable& table, const std::vector<float>& x) {
    std::vector<Act32> out(x.size() / kBlock);
    table.quantize_act32(x.data(), static_cast<int64_t>(x.size()), out.data());
    return out;
  }
  static float Sum(const Act32& a) { return a.sum; }
};
template <>
struct Format<Act256> {
  static constexpr int kBlock = 256;
  static std::vector<Act256> Quantize(const KernelTable& table, const std::vector<float>& x) {
    std::vector<Act256> out(x.size() / kBlock);
    table.quantize_act256(x.data(), static_cast<int64_t>(x.size()), out.data());
    return out;
  }
  static float Sum(const Act256&) { return 0; }
};

template <class Act>
class Quantize : public ::testing::Test {};
using Formats = ::testing::Types<Act32, Act256>;
TYPED_TEST_SUITE(Quantize, Formats);

TYPED_TEST(Quantize, FastTablesMatchTheSpecificationBitForBit) {
  using F = Format<TypeParam>;
  std::mt19937 rng(21);
  for (const Values values : testing::kAllValues)
    for (const float size : {1.0f, 1e-20f, 1e-31f, 1e-38f}) {
      std::vector<float> x = MakeFloats(values, 20 * F::kBlock, rng);
      for (float& v : x) v *= size;
      std::fill(x.begin(), x.begin() + F::kBlock, -0.0f);
      const std::vector<TypeParam> expected = F::Quantize(testing::Scalar(), x);
      for (const KernelTable* table : testing::FastTables()) {
        const std::vector<TypeParam> got = F::Quantize(*table, x);
        for (size_t b = 0; b < got.size(); ++b) {
          ASSERT_EQ(std::memcmp(got[b].q, expected[b].q, sizeof got[b].q), 0) << table->isa;
          ASSERT_EQ(std::memcmp(got[b].pairs, expected[b].pairs, sizeof got[b].pairs), 0);
          const float a[] = {got[b].d, F::Sum(got[b])}, e[] = {expected[b].d, F::Sum(expected[b])};
          ASSERT_TRUE(testing::SameBits(a, e)) << table->isa << " block " << b;
        }
      }
    }
}

TYPED_TEST(Quantize, KeepsItsPromises) {
  using F = Format<TypeParam>;
  std::mt19937 rng(22);
  for (const Values values : {Values::kNormal, Values::kFinite}) {
    std::vector<float> x = MakeFloats(values, 200 * F::kBlock, rng);
    for (size_t i = 0; i < x.size() / 2; ++i)  // small blocks, too
      x[i] = std::clamp(x[i], -1.0f, 1.0f) * std::ldexp(1.0f, -static_cast<int>(rng() % 110));
    const std::vector<TypeParam> blocks = F::Quantize(testing::Scalar(), x);
    for (size_t b = 0; b < blocks.size(); ++b) {
      const TypeParam& act = blocks[b];
      const float* from = &x[b * F::kBlock];
      float largest = 0;
      for (int i = 0; i < F::kBlock; ++i) largest = std::max(largest, std::fabs(from[i]));
      const bool is_zero = !(largest > 1e-30f);
      ASSERT_EQ(act.d, is_zero ? 0 : largest / 127);
      int total = 0, most = 0;
      for (int i = 0; i < F::kBlock; ++i) {
        const int q = act.q[i];
        most = std::max(most, std::abs(q));
        total += q;
        ASSERT_LE(std::abs(q), 127);
        // Half a step, and what the factor 127 / largest, the product and the tie itself round.
        const double error =
            std::fabs(static_cast<double>(from[i]) - static_cast<double>(act.d) * q);
        if (is_zero) continue;
        ASSERT_LE(error, static_cast<double>(act.d) * (0.5 + 127 * 0x1.8p-23)) << from[i];
      }
      ASSERT_EQ(most, is_zero ? 0 : 127);
      for (int s = 0; s < F::kBlock / 16; ++s) {
        int sums[2] = {};
        for (int i = 16 * s; i < 16 * (s + 1); ++i) sums[i % 4 / 2] += act.q[i];
        ASSERT_EQ(act.pairs[s][0], sums[0]);
        ASSERT_EQ(act.pairs[s][1], sums[1]);
      }
      if (F::kBlock == 32) {
        ASSERT_EQ(F::Sum(act), act.d * static_cast<float>(total));
      }
    }
  }
}

// What is not finite has a defined result, so that a broken model breaks the same way everywhere.
TYPED_TEST(Quantize, InfinityAndNanAreBoundedCodes) {
  using F = Format<TypeParam>;
  std::vector<float> x(F::kBlock, 1.0f);
  x[3] = std::nanf("");
  TypeParam act = F::Quantize(testing::Scalar(), x)[0];
  EXPECT_EQ(act.d, 1.0f / 127);
  EXPECT_EQ(act.q[3], -127);
  EXPECT_EQ(act.q[4], 127);
  x[3] = -std::numeric_limits<float>::infinity();
  act = F::Quantize(testing::Scalar(), x)[0];
  EXPECT_EQ(act.d, std::numeric_limits<float>::infinity());
  EXPECT_EQ(act.q[3], -127);
  EXPECT_EQ(act.q[4], 0);
}

}  // namespace
}  // namespace slm::kernels
