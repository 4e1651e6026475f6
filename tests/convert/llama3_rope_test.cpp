#include "convert/llama3_rope.h"

#include <gtest/gtest.h>

namespace slm::convert {
namespace {

std::optional<Llama3Scaling> BackAndForth(const Llama3Scaling& s, double base, int64_t dim) {
  return FindLlama3Scaling(Llama3Factors(s, base, dim), base, dim);
}

TEST(Llama3Rope, PublishedNumbersComeBack) {
  for (const double factor : {8.0, 32.0})  // Llama 3.1, 3.2
    for (const int64_t dim : {64, 128}) {
      const auto found = BackAndForth({factor, 1, 4, 8192}, 500000, dim);
      ASSERT_TRUE(found);
      EXPECT_EQ(found->factor, factor);
      EXPECT_EQ(found->low_freq_factor, 1);
      EXPECT_EQ(found->high_freq_factor, 4);
      EXPECT_EQ(found->original_context, 8192);
    }
  // One pair between the plateaus.
  EXPECT_EQ(BackAndForth({32, 1, 4, 64}, 500000, 16)->original_context, 64);
}

TEST(Llama3Rope, OtherNumbersGiveTheSameFactors) {
  for (const Llama3Scaling& s : {Llama3Scaling{4, 1, 8, 4096}, Llama3Scaling{8, 2, 8, 8192},
                                 Llama3Scaling{16, 1, 3.5, 8192}, Llama3Scaling{2, 1, 4, 1000}}) {
    const auto factors = Llama3Factors(s, 500000, 128);
    const auto found = FindLlama3Scaling(factors, 500000, 128);
    ASSERT_TRUE(found) << s.factor;
    const auto again = Llama3Factors(*found, 500000, 128);
    for (size_t i = 0; i < factors.size(); ++i) EXPECT_NEAR(again[i] / factors[i], 1, 2e-5);
    EXPECT_EQ(found->original_context, static_cast<double>(int64_t(found->original_context)));
  }
}

TEST(Llama3Rope, NoPairBetweenThePlateaus) {
  const auto found = FindLlama3Scaling(std::vector<float>{1, 1, 1, 8}, 500000, 8);
  ASSERT_TRUE(found);
  EXPECT_EQ(Llama3Factors(*found, 500000, 8), (std::vector<float>{1, 1, 1, 8}));
}

TEST(Llama3Rope, OtherFactorsAreNotTakenForThese) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::vector<float>& factors : std::vector<std::vector<float>>{{},
                                                                           {nan},
                                                                           {1, 1, 1, 1},
                                                                           {8, 4, 2, 1},
                                                                           {1, 2, 3, 4, 5, 6, 7, 8},
                                                                           {1, nan, 2, 8},
                                                                           {0, 0, 0, 0},
                                                                           {-1, -2, -3, -4},
                                                                           {1, 1, 1, 1e30f}})
    EXPECT_FALSE(FindLlama3Scaling(factors, 10000, 2 * static_cast<int64_t>(factors.size())))
        << factors.size();
  EXPECT_FALSE(FindLlama3Scaling(std::vector<float>{1, 1, 8}, 10000, 8));
}

}  // namespace
}  // namespace slm::convert
