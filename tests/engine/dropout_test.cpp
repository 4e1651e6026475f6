// The masks of dropout: shares, independence, and what they may depend on.
#include "engine/dropout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "support/floats.h"

namespace slm::engine {
namespace {

using model::Slot;

std::vector<uint64_t> Seeds(size_t count, uint64_t of) {
  std::vector<uint64_t> seeds;
  for (size_t i = 0; i < count; ++i) seeds.push_back(RandomBits(of, i));
  return seeds;
}

struct Where {
  int64_t layer = 0;
  Slot slot = Slot::kAttnQ;
  uint64_t seed = 7;
};

// What stays of rows of ones, [rows, k].
std::vector<float> Mask(double share, int64_t rows, int64_t k, const Where& where = {},
                        int threads = 1) {
  Runtime runtime(threads);
  Dropout dropout(share, &runtime);
  const std::vector<uint64_t> seeds = Seeds(static_cast<size_t>(rows), where.seed);
  dropout.set_seeds(seeds);
  const std::vector<float> ones(static_cast<size_t>(rows * k), 1.0f);
  const float* mask = dropout.Apply({where.layer, where.slot, 0, rows, k}, ones.data());
  return {mask, mask + rows * k};
}

double Correlation(std::span<const float> a, std::span<const float> b) {
  const auto n = static_cast<double>(a.size());
  double sums[2] = {}, squares[2] = {}, products = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    sums[0] += x, sums[1] += y;
    squares[0] += x * x, squares[1] += y * y;
    products += x * y;
  }
  const auto variance = [&](int i) { return squares[i] / n - sums[i] / n * (sums[i] / n); };
  return (products / n - sums[0] / n * (sums[1] / n)) / std::sqrt(variance(0) * variance(1));
}

TEST(DropoutTest, LeavesOutItsShare) {
  for (const double share : {0.05, 0.1, 0.5, 0.9}) {
    const std::vector<float> mask = Mask(share, 300, 1001);
    double sum = 0, left_out = 0;
    for (const float factor : mask) {
      sum += static_cast<double>(factor);
      left_out += factor == 0;
      if (factor != 0) {
        ASSERT_NEAR(factor, 1 / (1 - share), 1e-3);
      }
    }
    const auto n = static_cast<double>(mask.size());
    const double error = std::sqrt(share * (1 - share) / n);
    EXPECT_NEAR(left_out / n, share, 4 * error);
    EXPECT_NEAR(sum / n, 1, 4 * error / (1 - share));
  }
}

// Also for adapters that read the same input.
TEST(DropoutTest, MasksAreIndependent) {
  const int64_t rows = 100, k = 1000;
  const std::vector<float> mask = Mask(0.3, rows, k);
  const double most = 4 / std::sqrt(static_cast<double>(rows * k));
  const auto expect_other = [&](const Where& where, const char* what) {
    EXPECT_LT(std::fabs(Correlation(Mask(0.3, rows, k, where), mask)), most) << what;
  };
  expect_other({.layer = 1}, "layer");
  expect_other({.slot = Slot::kAttnK}, "slot");
  expect_other({.seed = 8}, "seed");
  for (const size_t shift : {size_t{1}, size_t{2}, size_t{4}, size_t{1000}, size_t{1001}}) {
    const auto count = mask.size() - shift;
    EXPECT_LT(std::fabs(Correlation(std::span(mask).first(count), std::span(mask).last(count))),
              1.01 * most)
        << "shifted by " << shift;
  }
}

TEST(DropoutTest, IsTheSameInPieces) {
  const int64_t rows = 34, k = 37;
  std::mt19937 rng(6);
  const std::vector<float> x = testing::MakeFloats(testing::Values::kNormal, rows * k, rng);
  const std::vector<uint64_t> seeds = Seeds(rows, 3);
  std::vector<float> expected;
  for (const int threads : {1, 3}) {
    Runtime runtime(threads);
    Dropout dropout(0.4, &runtime);
    dropout.set_seeds(seeds);
    const float* whole = dropout.Apply({2, Slot::kFfnUp, 0, rows, k}, x.data());
    const std::vector<float> got(whole, whole + rows * k);
    if (expected.empty()) expected = got;
    EXPECT_TRUE(testing::SameBits(got, expected)) << threads;
    for (int64_t at = 0; at < rows; at += 5) {
      const int64_t count = std::min<int64_t>(5, rows - at);
      const auto part =
          std::span(expected).subspan(static_cast<size_t>(at * k), static_cast<size_t>(count * k));
      const float* by_first = dropout.Apply({2, Slot::kFfnUp, at, count, k}, x.data() + at * k);
      EXPECT_TRUE(testing::SameBits({by_first, part.size()}, part));
      Dropout of_part(0.4, &runtime);
      of_part.set_seeds(std::span(seeds).subspan(static_cast<size_t>(at)));
      const float* by_seeds = of_part.Apply({2, Slot::kFfnUp, 0, count, k}, x.data() + at * k);
      EXPECT_TRUE(testing::SameBits({by_seeds, part.size()}, part));
    }
  }
  // And the derivative goes where the values came from.
  Runtime runtime(2);
  Dropout dropout(0.4, &runtime);
  dropout.set_seeds(seeds);
  const int64_t stride = 48;
  std::vector<float> ones(static_cast<size_t>(rows * stride), 1.0f);
  std::vector<float> dx(static_cast<size_t>(rows * stride), 2.0f);
  dropout.AddGradient({2, Slot::kFfnUp, 0, rows, k}, ones.data(), stride, dx.data());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < k; ++i) {
      const auto at = static_cast<size_t>(row * k + i);
      EXPECT_NEAR(dx[static_cast<size_t>(row * stride + i)], 2 + expected[at] / x[at], 1e-5);
    }
}

// Products are linear: those of M x and of the rest are that of x.
TEST(DropoutTest, TheRestIsWhatIsMissing) {
  Runtime runtime(2);
  const int64_t rows = 9, k = 64, n = 21;
  std::mt19937 rng(7);
  const std::vector<float> w = testing::MakeFloats(testing::Values::kNormal, n * k, rng);
  const std::vector<float> x = testing::MakeFloats(testing::Values::kNormal, rows * k, rng);
  const ops::Matrix matrix = runtime.backend()->MakeMatrix(
      {quant::Type::kF32, reinterpret_cast<const uint8_t*>(w.data()), n, k});
  const std::vector<uint64_t> seeds = Seeds(rows, 4);
  Dropout dropout(0.3, &runtime);
  dropout.set_seeds(seeds);
  const Dropout::Rows read = {1, Slot::kFfnDown, 0, rows, k};
  const float* dropped = dropout.Apply(read, x.data());
  const std::vector<ops::Product> rests =
      dropout.RunRest(read, x.data(), std::vector{&matrix, &matrix}, ops::Precision::kFloats);
  ASSERT_EQ(rests.size(), 2u);
  for (const ops::Product& rest : rests)
    for (int64_t t = 0; t < rows; ++t)
      for (int64_t j = 0; j < n; ++j) {
        double expected = 0;
        for (int64_t i = 0; i < k; ++i)
          expected += static_cast<double>(w[static_cast<size_t>(j * k + i)]) *
                      static_cast<double>(x[static_cast<size_t>(t * k + i)] - dropped[t * k + i]);
        EXPECT_NEAR(rest.out[t * rest.out_stride + j], expected, 1e-4);
      }
}

}  // namespace
}  // namespace slm::engine
