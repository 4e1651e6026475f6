// The exponential of the specification: its error, and what happens at its ends.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "base/half.h"
#include "base/target.h"
#include "kernels/flush_to_zero.h"
#include "kernels/tiles.h"
#include "quant/nf4_panel.h"
#include "support/tables.h"

namespace slm::kernels {
namespace exp_test {

// The specification's own Exp: a table does not give it alone.
#include "base/simd_scalar.h"
//
#include "kernels/float_inl.h"

}  // namespace exp_test

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// exp(x) for x <= 0 by any table: a page of max x and sum 1 is merged into one of max 0 and sum 0.
float Exp(const KernelTable& table, float x) {
  float max = 0, sum = 0;
  const float one = 1;
  table.attention_merge({nullptr, &x, &one, 1, 1}, 0, nullptr, &max, &sum);
  return sum;
}

// The largest error in units of the last place over every step-th float from `begin` to `end`,
// which lie on one side of zero.
double WorstUlp(float begin, float end, uint32_t step) {
  double worst = 0;
  for (uint32_t bits = std::bit_cast<uint32_t>(begin); bits <= std::bit_cast<uint32_t>(end);) {
    float x[16], y[16];
    for (float& v : x) v = std::bit_cast<float>(bits), bits += step;
    exp_test::Store(exp_test::Exp(exp_test::Load(x)), y);
    for (int i = 0; i < 16 && std::fabs(x[i]) <= std::fabs(end); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      const double ulp = std::ldexp(1.0, std::ilogb(exact) - 23);
      worst = std::max(worst, std::fabs(static_cast<double>(y[i]) - exact) / ulp);
    }
  }
  return worst;
}

TEST(Exp, IsWithinOneUlp) {
  const double below = WorstUlp(-0.0f, -87.0f, 431), above = WorstUlp(0.0f, 88.0f, 431);
  RecordProperty("worst_ulp_below_zero", std::to_string(below));
  RecordProperty("worst_ulp_above_zero", std::to_string(above));
  EXPECT_LE(below, 1.0);
  EXPECT_LE(above, 1.0);
}

TEST(Exp, TablesAgree) {
  KernelTable local = {};
  exp_test::InstallFloat(&local);
  for (uint32_t bits = std::bit_cast<uint32_t>(-0.0f); bits <= std::bit_cast<uint32_t>(-90.0f);
       bits += 10007) {
    const float x = std::bit_cast<float>(bits), expected = Exp(local, x);
    for (const KernelTable* table : testing::TablesUnderTest().subspan(1))
      ASSERT_EQ(Exp(*table, x), expected) << table->isa << " " << x;
  }
}

TEST(Exp, EndsAreDefined) {
  for (const KernelTable* table : testing::TablesUnderTest().subspan(1)) {
    EXPECT_EQ(Exp(*table, 0.0f), 1.0f);
    EXPECT_EQ(Exp(*table, -0x1p-149f), 1.0f);
    // Below -87 nothing changes: never zero, never subnormal.
    const float lowest = Exp(*table, -87.0f);
    EXPECT_GE(lowest, std::numeric_limits<float>::min());
    for (const float x : {std::nextafter(-87.0f, -kInfinity), -88.0f, -104.0f, -1e30f, -kInfinity})
      EXPECT_EQ(Exp(*table, x), lowest) << table->isa << " " << x;
    float before = lowest;
    for (float x = -87.0f; x < -86.99f; x = std::nextafter(x, 0.0f)) {
      const float value = Exp(*table, x);
      ASSERT_GE(value, before) << table->isa << " " << x;
      before = value;
    }
  }
}

}  // namespace
}  // namespace slm::kernels
