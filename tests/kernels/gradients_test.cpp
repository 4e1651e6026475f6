// The functions of the backward pass: bit-equal to the specification, which is near the derivatives
// that finite differences in double give.
#include "kernels/gradients.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "support/floats.h"
#include "support/tables.h"

namespace slm::kernels {
namespace {

using testing::Values;
using Doubles = std::vector<double>;
using Floats = std::vector<float>;

// What a function returned and left: all of it, one behind the other.
using Run = std::function<Floats(const GradientKernels&, const Floats& a, const Floats& b,
                                 const Floats& c)>;
// sum over i of c[i] * y(a, b)[i], whose derivatives by a, then by b where that has any, are the
// first numbers of what Run gives.
using Loss = std::function<double(const Doubles& a, const Doubles& b, const Doubles& c)>;

struct Function {
  const char* name;
  Run run;
  Loss loss;
  bool has_b;  // derivatives by b follow
};

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double Gelu(double g) {
  return 0.5 * g * (1 + std::tanh(0.79788456080286535588 * (g + 0.044715 * g * g * g)));
}

// In a Guarded, which must stay intact.
struct Output {
  explicit Output(const Floats& values) : guarded(values) {}
  Floats Take() const {
    EXPECT_TRUE(guarded.IsIntact());
    return {guarded.values().begin(), guarded.values().end()};
  }
  testing::Guarded guarded;
};

Floats Join(Floats a, const Floats& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

int64_t Size(const Floats& x) { return static_cast<int64_t>(x.size()); }

template <void (*GradientKernels::*kGate)(const float*, const float*, const float*, int64_t, float*,
                                          float*)>
Floats RunGate(const GradientKernels& k, const Floats& a, const Floats& b, const Floats& c) {
  Output da(a), db(b);
  (k.*kGate)(a.data(), b.data(), c.data(), Size(a), da.guarded.data(), db.guarded.data());
  return Join(da.Take(), db.Take());
}

const Function kFunctions[] = {
    {"rms_norm",
     [](const GradientKernels& k, const Floats& a, const Floats& b, const Floats& c) {
       Output dx(Floats(a.size(), 0.0f));
       k.rms_norm(a.data(), b.data(), c.data(), Size(a), 1e-2f, dx.guarded.data());
       return dx.Take();
     },
     [](const Doubles& a, const Doubles& b, const Doubles& c) {
       double squares = 0, sum = 0;
       for (const double x : a) squares += x * x;
       const double factor = 1 / std::sqrt(squares / static_cast<double>(a.size()) + 1e-2);
       for (size_t i = 0; i < a.size(); ++i) sum += c[i] * a[i] * factor * b[i];
       return sum;
     },
     false},
    {"silu_mul", RunGate<&GradientKernels::silu_mul>,
     [](const Doubles& a, const Doubles& b, const Doubles& c) {
       double sum = 0;
       for (size_t i = 0; i < a.size(); ++i) sum += c[i] * a[i] * Sigmoid(a[i]) * b[i];
       return sum;
     },
     true},
    {"gelu_mul", RunGate<&GradientKernels::gelu_mul>,
     [](const Doubles& a, const Doubles& b, const Doubles& c) {
       double sum = 0;
       for (size_t i = 0; i < a.size(); ++i) sum += c[i] * Gelu(a[i]) * b[i];
       return sum;
     },
     true},
    {"softcap",
     [](const GradientKernels& k, const Floats& a, const Floats&, const Floats& c) {
       Floats y = a;
       testing::Scalar().softcap(3.0f, Size(y), y.data());
       Output d(c);
       k.softcap(y.data(), 3.0f, Size(y), d.guarded.data());
       return d.Take();
     },
     [](const Doubles& a, const Doubles&, const Doubles& c) {
       double sum = 0;
       for (size_t i = 0; i < a.size(); ++i) sum += c[i] * 3 * std::tanh(a[i] / 3);
       return sum;
     },
     false},
    {"softmax",  // both: the probabilities, then their derivative
     [](const GradientKernels& k, const Floats& a, const Floats&, const Floats& c) {
       Output p(a);
       const float log_sum = k.softmax(Size(a), p.guarded.data());
       const Floats probabilities = p.Take();
       Output d(c);
       k.softmax_backward(probabilities.data(), Size(a), d.guarded.data());
       return Join(Join(d.Take(), probabilities), {log_sum});
     },
     [](const Doubles& a, const Doubles&, const Doubles& c) {
       double total = 0, sum = 0;
       for (const double x : a) total += std::exp(x);
       for (size_t i = 0; i < a.size(); ++i) sum += c[i] * std::exp(a[i]) / total;
       return sum;
     },
     false},
    {"adamw",
     [](const GradientKernels& k, const Floats& a, const Floats& b, const Floats& c) {
       Output m(a), v(b), w(c);
       Floats squares = b;
       for (float& x : squares) x = std::fabs(x);
       Output second(squares);
       k.adamw({0.01f, 0.999f, 0.9f, 0.99f, 1e-6f}, a.data(), Size(a), m.guarded.data(),
               second.guarded.data(), w.guarded.data());
       return Join(Join(m.Take(), second.Take()), w.Take());
     },
     nullptr, false},
};

class Gradients : public ::testing::TestWithParam<size_t> {
 protected:
  const Function& function() const { return kFunctions[GetParam()]; }
};

TEST_P(Gradients, FastTablesMatchTheSpecificationBitForBit) {
  std::mt19937 rng(111);
  for (const Values values : testing::kAllValues)
    for (size_t n = 1; n < 300; n = n < 40 ? n + 1 : n * 2 + 1) {
      const Floats a = MakeFloats(values, n, rng), b = MakeFloats(values, n, rng),
                   c = MakeFloats(values, n, rng);
      const Floats expected = function().run(testing::Scalar().gradients, a, b, c);
      for (const KernelTable* table : testing::FastTables())
        ASSERT_TRUE(testing::SameBits(function().run(table->gradients, a, b, c), expected))
            << table->isa << " n=" << n << " " << testing::NameOf(values);
    }
}

void CheckByDifferences(const Function& function) {
  std::mt19937 rng(112);
  const auto to_doubles = [](const Floats& x) { return Doubles(x.begin(), x.end()); };
  for (const size_t n : {1, 7, 33, 100}) {
    const Floats a = MakeFloats(Values::kNormal, n, rng), b = MakeFloats(Values::kNormal, n, rng),
                 c = MakeFloats(Values::kNormal, n, rng);
    const Floats got = function.run(testing::Scalar().gradients, a, b, c);
    const Doubles weights = to_doubles(c);
    double size = 0;
    for (const double x : weights) size += std::fabs(x);
    for (int side = 0; side <= function.has_b; ++side)
      for (size_t i = 0; i < n; ++i) {
        Doubles x[2] = {to_doubles(a), to_doubles(b)};
        const double h = 1e-5, at = x[side][i];
        x[side][i] = at + h;
        const double above = function.loss(x[0], x[1], weights);
        x[side][i] = at - h;
        const double below = function.loss(x[0], x[1], weights);
        ASSERT_NEAR(static_cast<double>(got[static_cast<size_t>(side) * n + i]),
                    (above - below) / (2 * h), 2e-6 * (1 + size / std::sqrt(n)))
            << function.name << " n=" << n << " i=" << i << " side=" << side;
      }
  }
}

// AdamW is a step and has no derivative: its formula is below.
TEST(GradientFunctions, AreThoseOfFiniteDifferences) {
  for (const Function& function : kFunctions)
    if (function.loss) CheckByDifferences(function);
}

INSTANTIATE_TEST_SUITE_P(Functions, Gradients, ::testing::Range<size_t>(0, std::size(kFunctions)),
                         [](const auto& test) { return kFunctions[test.param].name; });

TEST(GradientFunctions, NormAddsToWhatIsThere) {
  const Floats x = {1, 2, 3}, w = {1, 1, 1}, dout = {0.5f, 0, -1};
  Floats zero(3), one(3, 1.0f);
  const GradientKernels& k = testing::Scalar().gradients;
  k.rms_norm(x.data(), w.data(), dout.data(), 3, 1e-5f, zero.data());
  k.rms_norm(x.data(), w.data(), dout.data(), 3, 1e-5f, one.data());
  for (size_t i = 0; i < 3; ++i) EXPECT_FLOAT_EQ(one[i], zero[i] + 1);
}

TEST(GradientFunctions, AdamWIsItsFormula) {
  std::mt19937 rng(113);
  const Floats g = MakeFloats(Values::kNormal, 50, rng), w0 = MakeFloats(Values::kNormal, 50, rng);
  Floats m(50, 0.25f), v(50, 0.5f), w = w0;
  const AdamStep step = {0.01f, 0.999f, 0.9f, 0.99f, 1e-6f};
  testing::Scalar().gradients.adamw(step, g.data(), 50, m.data(), v.data(), w.data());
  for (size_t i = 0; i < 50; ++i) {
    const double gradient = static_cast<double>(g[i]);
    const double first = 0.9 * 0.25 + 0.1 * gradient,
                 second = 0.99 * 0.5 + 0.01 * gradient * gradient;
    EXPECT_NEAR(static_cast<double>(m[i]), first, 1e-6);
    EXPECT_NEAR(static_cast<double>(v[i]), second, 1e-6);
    EXPECT_NEAR(static_cast<double>(w[i]),
                static_cast<double>(w0[i]) * 0.999 - 0.01 * first / (std::sqrt(second) + 1e-6),
                1e-6);
  }
}

TEST(Softmax, SeesTheLargestOfManyAndNoMore) {
  Floats x(40, -1000.0f);
  x[37] = 5;
  for (const KernelTable* table : testing::TablesUnderTest()) {
    Floats p = x;
    EXPECT_NEAR(table->gradients.softmax(40, p.data()), 5.0f, 1e-6f) << table->isa;
    EXPECT_NEAR(p[37], 1.0f, 1e-6f) << table->isa;
  }
}

}  // namespace
}  // namespace slm::kernels
