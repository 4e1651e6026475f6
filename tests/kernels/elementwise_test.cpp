// The functions on rows of floats: bit-equal to the specification, which is near the reference.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>

#include "support/floats.h"
#include "support/tables.h"

namespace slm::kernels {
namespace {

using testing::Values;

// out holds a copy of a before the call.
using Run =
    std::function<void(const KernelTable&, const float* a, const float* b, int64_t n, float* out)>;

struct Function {
  const char* name;
  Run run;
  // The most by which the specification may differ from the reference's `expected`.
  std::function<double(double a, double b, double expected, int64_t n)> tolerance;
};

constexpr double kUlp = 0x1p-23;  // of 1.0f; rounding once costs half of it

// exp is clamped to [-87, 88], which the other side of a division by 1 + exp shows as this.
const double kClamped = std::exp(-87.5);

const Function kFunctions[] = {
    {"add",
     [](const KernelTable& t, const float*, const float* b, int64_t n, float* out) {
       t.add(b, n, out);
     },
     [](double, double, double, int64_t) { return 0.0; }},
    {"scale",
     [](const KernelTable& t, const float*, const float*, int64_t n, float* out) {
       t.scale(-0.3f, n, out);
     },
     [](double, double, double, int64_t) { return 0.0; }},
    {"multiply_add",
     [](const KernelTable& t, const float* a, const float* b, int64_t n, float* out) {
       t.multiply_add(b, a, n, out);
     },
     [](double, double, double, int64_t) { return 0.0; }},
    // n / 16 roundings in each lane's sum of squares, halved by the root; then at most 6 more.
    {"rms_norm",
     [](const KernelTable& t, const float* a, const float* b, int64_t n, float* out) {
       t.rms_norm(a, b, n, 1e-6f, out);
     },
     [](double, double, double expected, int64_t n) {
       return std::fabs(expected) * kUlp / 2 * (static_cast<double>(n) / 32 + 6);
     }},
    // tanh is 1 minus a quotient: its error is absolute, of 2 ulp of exp and three roundings.
    {"softcap",
     [](const KernelTable& t, const float*, const float*, int64_t n, float* out) {
       t.softcap(30.0f, n, out);
     },
     [](double, double, double, int64_t) { return 30 * 2 * kUlp; }},
    // 2 ulp of exp, and a sum, a quotient and a product.
    {"silu_mul",
     [](const KernelTable& t, const float* a, const float* b, int64_t n, float* out) {
       t.silu_mul(a, b, n, out);
     },
     [](double a, double b, double expected, int64_t) {
       return std::fabs(expected) * 4 * kUlp + std::fabs(a * b) * kClamped;
     }},
    // As silu_mul; 2 u has a relative error of 2 ulp, which exp makes |2 u| times larger where it
    // is the whole denominator. The reference itself loses 1 + tanh(u) where u is far below zero.
    {"gelu_mul",
     [](const KernelTable& t, const float* a, const float* b, int64_t n, float* out) {
       t.gelu_mul(a, b, n, out);
     },
     [](double a, double b, double expected, int64_t) {
       const double u2 = 1.59576912 * (std::fabs(a) + 0.044715 * std::fabs(a * a * a));
       const double factor = 4 + (a < 0 ? 2 * u2 : 0);
       return std::fabs(expected) * factor * kUlp + std::fabs(a * b) * (kClamped + 1e-15);
     }},
};

std::vector<float> Call(const Function& function, const KernelTable& table,
                        const std::vector<float>& a, const std::vector<float>& b) {
  testing::Guarded out(a);
  function.run(table, a.data(), b.data(), static_cast<int64_t>(a.size()), out.data());
  EXPECT_TRUE(out.IsIntact()) << table.isa << " wrote past " << a.size();
  return {out.values().begin(), out.values().end()};
}

class Elementwise : public ::testing::TestWithParam<size_t> {
 protected:
  const Function& function() const { return kFunctions[GetParam()]; }
};

std::vector<size_t> Sizes() {
  std::vector<size_t> sizes;
  for (size_t n = 1; n <= 100; ++n) sizes.push_back(n);
  for (size_t n : {256, 576, 1000, 4097}) sizes.push_back(n);
  return sizes;
}

TEST_P(Elementwise, FastTablesMatchTheSpecificationBitForBit) {
  std::mt19937 rng(11);
  for (const Values values : testing::kAllValues)
    for (const size_t n : Sizes()) {
      const std::vector<float> a = MakeFloats(values, n, rng), b = MakeFloats(values, n, rng);
      const std::vector<float> expected = Call(function(), testing::Scalar(), a, b);
      for (const KernelTable* table : testing::FastTables())
        ASSERT_TRUE(testing::SameBits(Call(function(), *table, a, b), expected))
            << table->isa << " n=" << n << " " << testing::NameOf(values);
    }
}

TEST_P(Elementwise, SpecificationIsNearTheReference) {
  std::mt19937 rng(12);
  for (const float size : {1e-6f, 0.1f, 1.0f, 8.0f, 40.0f, 200.0f})
    for (const size_t n : {size_t{7}, size_t{96}, size_t{4097}}) {
      std::vector<float> a = MakeFloats(Values::kNormal, n, rng);
      const std::vector<float> b = MakeFloats(Values::kNormal, n, rng);
      for (float& x : a) x *= size;
      const std::vector<float> expected = Call(function(), testing::Ref(), a, b);
      const std::vector<float> got = Call(function(), testing::Scalar(), a, b);
      for (size_t i = 0; i < n; ++i) {
        const auto e = static_cast<double>(expected[i]);
        // The reference is rounded to float as well.
        const double tolerance =
            function().tolerance(static_cast<double>(a[i]), static_cast<double>(b[i]), e,
                                 static_cast<int64_t>(n)) +
            (function().tolerance(1, 1, 1, 1) > 0 ? std::fabs(e) * kUlp / 2 + 0x1p-149 : 0);
        ASSERT_LE(std::fabs(static_cast<double>(got[i]) - e), tolerance)
            << "a=" << a[i] << " b=" << b[i] << " n=" << n;
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Functions, Elementwise, ::testing::Range<size_t>(0, std::size(kFunctions)),
                         [](const auto& test) { return kFunctions[test.param].name; });

TEST(RmsNorm, MayWorkInPlace) {
  std::mt19937 rng(13);
  for (const size_t n : {1, 17, 64, 128}) {
    const std::vector<float> x = MakeFloats(Values::kNormal, n, rng);
    const std::vector<float> w = MakeFloats(Values::kNormal, n, rng);
    for (const KernelTable* table : testing::TablesUnderTest()) {
      std::vector<float> apart(n), in_place = x;
      table->rms_norm(x.data(), w.data(), static_cast<int64_t>(n), 1e-5f, apart.data());
      table->rms_norm(in_place.data(), w.data(), static_cast<int64_t>(n), 1e-5f, in_place.data());
      EXPECT_TRUE(testing::SameBits(in_place, apart)) << table->isa;
    }
  }
}

TEST(Activations, AreExactWhereTheySaturate) {
  for (const KernelTable* table : testing::TablesUnderTest()) {
    const float gate[] = {100.0f, 1e20f, 3e38f, 0.0f, -0.0f};
    const float up[] = {2.0f, 2.0f, 1.0f, 5.0f, 5.0f};
    const float expected[] = {200.0f, 2e20f, 3e38f, 0.0f, -0.0f};
    float out[5];
    table->silu_mul(gate, up, 5, out);
    EXPECT_TRUE(testing::SameBits(out, expected)) << table->isa;
    float capped[] = {1e30f, -1e30f, 0.0f};
    table->softcap(50.0f, 3, capped);
    const float limits[] = {50.0f, -50.0f, 0.0f};
    EXPECT_TRUE(testing::SameBits(capped, limits)) << table->isa;
  }
}

class Rope : public ::testing::TestWithParam<bool> {};

TEST_P(Rope, EveryTableRotates) {
  std::mt19937 rng(14);
  for (const Values values : testing::kAllValues)
    for (size_t n = 2; n <= 128; n += 2) {
      const std::vector<float> x = MakeFloats(values, n, rng);
      std::vector<float> cos(n / 2), sin(n / 2);
      for (size_t i = 0; i < n / 2; ++i) {
        const float angle = std::ldexp(static_cast<float>(rng() % 1000), -3);
        cos[i] = std::cos(angle), sin[i] = std::sin(angle);
      }
      const auto call = [&](const KernelTable& table) {
        testing::Guarded inout(x);
        table.rope(cos.data(), sin.data(), static_cast<int64_t>(n), GetParam(), inout.data());
        EXPECT_TRUE(inout.IsIntact());
        return std::vector<float>(inout.values().begin(), inout.values().end());
      };
      const std::vector<float> expected = call(testing::Scalar());
      for (const KernelTable* table : testing::FastTables())
        ASSERT_TRUE(testing::SameBits(call(*table), expected)) << table->isa << " n=" << n;
      if (values != Values::kNormal) continue;
      // Two roundings of a product and one of the sum, each of at most half an ulp of |a| + |b|.
      const std::vector<float> reference = call(testing::Ref());
      for (size_t i = 0; i < n; ++i) {
        const size_t other = GetParam() ? i ^ 1 : (i + n / 2) % n;
        const float tolerance = (std::fabs(x[i]) + std::fabs(x[other])) * 0x1.8p-23f;
        ASSERT_NEAR(expected[i], reference[i], tolerance);
      }
    }
}

TEST_P(Rope, RotatesTheNamedPairs) {
  const float cos[] = {0, 1}, sin[] = {1, 0};  // a quarter turn, and none
  for (const KernelTable* table : testing::TablesUnderTest()) {
    float x[] = {1, 2, 3, 4};
    table->rope(cos, sin, 4, GetParam(), x);
    const std::vector<float> expected =
        GetParam() ? std::vector<float>{-2, 1, 3, 4} : std::vector<float>{-3, 2, 1, 4};
    EXPECT_EQ(std::vector<float>(x, x + 4), expected) << table->isa;
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, Rope, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "interleaved" : "halves"; });

}  // namespace
}  // namespace slm::kernels
