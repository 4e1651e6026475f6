// Error feedback: the factor is the matrix, the loss is the output's error, and both are better
// than rounding by itself.
#include "compress/error_feedback.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/thread_pool.h"
#include "compress/feedback_factor.h"
#include "kernels/table.h"

namespace slm::compress {
namespace {

// Rows of activations whose columns depend on each other, as real ones do.
std::vector<float> Activations(int64_t rows, int64_t k, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(rows * k));
  std::vector<float> hidden(8);
  for (int64_t t = 0; t < rows; ++t) {
    for (float& h : hidden) h = normal(rng);
    for (int64_t i = 0; i < k; ++i) {
      float sum = 0.3f * normal(rng);
      for (size_t h = 0; h < hidden.size(); ++h)
        sum += hidden[h] * std::sin(static_cast<float>(i + 1) * static_cast<float>(h + 1));
      x[static_cast<size_t>(t * k + i)] = sum * (i % 7 == 0 ? 5.0f : 1.0f);
    }
  }
  return x;
}

Gram GramOf(const std::vector<float>& x, int64_t rows, int64_t k, ThreadPool* pool) {
  Gram gram(k);
  const int64_t half = rows / 2;
  gram.Add(x.data(), half, kernels::Kernels(), pool);
  gram.Add(x.data() + half * k, rows - half, kernels::Kernels(), pool);
  return gram;
}

TEST(Gram, SumsProducts) {
  ThreadPool pool(2);
  const int64_t rows = 37, k = 50;
  const std::vector<float> x = Activations(rows, k, 1);
  const Gram gram = GramOf(x, rows, k, &pool);
  EXPECT_EQ(gram.rows(), rows);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t t = 0; t < rows; ++t)
        sum += static_cast<double>(x[static_cast<size_t>(t * k + i)]) *
               static_cast<double>(x[static_cast<size_t>(t * k + j)]);
      EXPECT_NEAR(gram.sums()[static_cast<size_t>(i * k + j)], sum, 1e-3 * (1 + std::abs(sum)));
    }
}

class FeedbackTest : public ::testing::TestWithParam<int64_t> {};

// More than one block, whole and not.
INSTANTIATE_TEST_SUITE_P(Sizes, FeedbackTest, ::testing::Values(32, 128, 160, 416));

TEST_P(FeedbackTest, FactorIsTheMatrix) {
  ThreadPool pool(2);
  const int64_t k = GetParam(), rows = 200;
  const Gram gram = GramOf(Activations(rows, k, 2), rows, k, &pool);
  const float damping = 0.01f;
  const FeedbackFactor f = MakeFeedbackFactor(gram, damping, kernels::Kernels(), &pool);
  double trace = 0;
  for (int64_t i = 0; i < k; ++i)
    trace += static_cast<double>(gram.sums()[static_cast<size_t>(i * k + i)]);
  const double scale = static_cast<double>(k) / trace;
  const auto u = [&](int64_t i, int64_t j) {  // of U + I
    if (i == j) return 1.0;
    return i < j ? static_cast<double>(f.ut[static_cast<size_t>(j * k + i)]) : 0.0;
  };
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t m = i; m < k; ++m)
        sum += u(i, m) * static_cast<double>(f.d[static_cast<size_t>(m)]) * u(j, m);
      const double want = static_cast<double>(gram.sums()[static_cast<size_t>(i * k + j)]) * scale +
                          (i == j ? static_cast<double>(damping) : 0);
      ASSERT_NEAR(sum, want, 1e-3) << i << ", " << j;
    }
}

double OutputError(const std::vector<float>& x, int64_t rows, int64_t k,
                   const std::vector<float>& weights, const std::vector<float>& rounded) {
  const auto n = static_cast<int64_t>(weights.size()) / k;
  double total = 0;
  for (int64_t r = 0; r < n; ++r)
    for (int64_t t = 0; t < rows; ++t) {
      double sum = 0;
      for (int64_t i = 0; i < k; ++i)
        sum += static_cast<double>(weights[static_cast<size_t>(r * k + i)] -
                                   rounded[static_cast<size_t>(r * k + i)]) *
               static_cast<double>(x[static_cast<size_t>(t * k + i)]);
      total += sum * sum;
    }
  return total;
}

// Normal weights, [n, k], as a tensor.
struct Weights {
  Weights(int64_t n, int64_t k, uint32_t seed) : values(static_cast<size_t>(n * k)) {
    std::mt19937 rng(seed);
    std::normal_distribution<float> normal(0, 0.02f);
    for (float& w : values) w = normal(rng);
    source = {"weights", {k, n}, [this, k](int64_t first, int64_t count, float* out) {
                std::copy_n(values.data() + first * k, count * k, out);
              }};
  }
  Weights(const Weights&) = delete;

  std::vector<float> values;
  format::TensorSource source;
};

// What `encode` hands to its sink, decoded.
template <class Encode>
std::vector<float> Decoded(quant::Type type, size_t size, const Encode& encode) {
  std::vector<uint8_t> bytes;
  encode([&](std::span<const uint8_t> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  });
  std::vector<float> values(size);
  quant::Traits(type).decode(bytes.data(), values.data(), static_cast<int64_t>(size));
  return values;
}

std::vector<float> Rounded(quant::Type type, const Weights& weights, ThreadPool* pool) {
  return Decoded(type, weights.values.size(), [&](const auto& sink) {
    EncodeTensor(weights.source, TargetOf(type, weights.source.dims[0], {}, kernels::Kernels()),
                 pool, sink);
  });
}

TEST(ErrorFeedback, LosesLessThanRoundingAndSaysHowMuch) {
  ThreadPool pool(2);
  const int64_t k = 512, rows = 600, n = 70;  // rows of weights: not whole tasks
  const std::vector<float> x = Activations(rows, k, 3);
  const Gram gram = GramOf(x, rows, k, &pool);
  const FeedbackFactor factor = MakeFeedbackFactor(gram, 0.01f, kernels::Kernels(), &pool);
  const Weights weights(n, k, 4);
  double trace = 0;
  for (int64_t i = 0; i < k; ++i)
    trace += static_cast<double>(gram.sums()[static_cast<size_t>(i * k + i)]);
  for (const quant::TypeTraits& traits : quant::AllTypes()) {
    if (traits.block_size == 1) continue;
    SCOPED_TRACE(traits.name);
    double loss = 0;
    const std::vector<float> rounded =
        Decoded(traits.type, weights.values.size(), [&](const auto& sink) {
          loss = FeedbackEncoder(factor, traits.type, kernels::Kernels(), &pool)
                     .Encode(weights.source, sink);
        });
    const double with = OutputError(x, rows, k, weights.values, rounded);
    const double without =
        OutputError(x, rows, k, weights.values, Rounded(traits.type, weights, &pool));
    EXPECT_LT(with, 0.7 * without);
    // In the factor's unit, and with the damping's share.
    double damped = 0;
    for (size_t i = 0; i < rounded.size(); ++i)
      damped += 0.01 * std::pow(static_cast<double>(weights.values[i] - rounded[i]), 2);
    EXPECT_NEAR(loss, with * static_cast<double>(k) / trace + damped, 0.02 * loss);
  }
}

// Fewer rows than columns, some of them never used, some enormous, and next to no damping.
TEST(ErrorFeedback, IllConditionedInputsDoNoHarm) {
  ThreadPool pool(2);
  const int64_t k = 512, rows = 40, n = 16;
  std::vector<float> x = Activations(rows, k, 5);
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t i = 0; i < k; ++i) {
      if (i % 5 == 0) x[static_cast<size_t>(t * k + i)] = 0;
      if (i % 101 == 3) x[static_cast<size_t>(t * k + i)] *= 3000;
    }
  const Gram gram = GramOf(x, rows, k, &pool);
  const Weights weights(n, k, 6);
  const quant::Type type = quant::Type::kQ4_0;
  const double plain = OutputError(x, rows, k, weights.values, Rounded(type, weights, &pool));
  for (const float damping : {0.01f, 1e-9f}) {
    const FeedbackFactor factor = MakeFeedbackFactor(gram, damping, kernels::Kernels(), &pool);
    for (const float u : factor.ut) ASSERT_TRUE(std::isfinite(u));
    const std::vector<float> rounded = Decoded(type, weights.values.size(), [&](const auto& sink) {
      FeedbackEncoder(factor, type, kernels::Kernels(), &pool).Encode(weights.source, sink);
    });
    EXPECT_LT(OutputError(x, rows, k, weights.values, rounded), plain);
    for (const float w : rounded) EXPECT_LT(std::abs(w), 0.5f);
  }
}

}  // namespace
}  // namespace slm::compress
