// The tree of a sum of gradients, and that its bits do not depend on who adds what.
#include "train/gradient_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "support/floats.h"
#include "train/thread_ranks.h"

namespace slm::train {
namespace {

// Of magnitudes so different that every order of summation has bits of its own.
std::vector<std::vector<float>> RandomGradients(size_t count, size_t size, std::mt19937& rng) {
  std::vector<std::vector<float>> gradients(count, std::vector<float>(size));
  for (std::vector<float>& gradient : gradients)
    for (float& g : gradient)
      g = std::ldexp(static_cast<float>(rng()) * 0x1p-31f - 1, static_cast<int>(rng() % 16));
  return gradients;
}

// Neighbours first, then neighbouring pairs, ..
std::vector<float> TreeSum(std::vector<std::vector<float>> parts) {
  while (parts.size() > 1) {
    std::vector<std::vector<float>> pairs;
    for (size_t i = 0; i < parts.size(); i += 2) {
      pairs.push_back(parts[i]);
      if (i + 1 == parts.size()) break;
      for (size_t j = 0; j < parts[i].size(); ++j) pairs.back()[j] += parts[i + 1][j];
    }
    parts = std::move(pairs);
  }
  return parts[0];
}

std::vector<float> SumOnRanks(const std::vector<std::vector<float>>& gradients,
                              const std::vector<int>& owners, int size) {
  std::vector<float> result;
  testing::OnRanks(size, [&](std::shared_ptr<Ranks> ranks) {
    const size_t n = gradients[0].size();
    GradientSum sum(static_cast<int64_t>(n), ranks);
    // The second sum finds what the first one left.
    for (int round = 0; round < 2; ++round) {
      sum.Begin(owners);
      for (size_t i = 0; i < owners.size(); ++i) {
        if (owners[i] != ranks->rank()) continue;
        std::vector<float> lost = gradients[i];
        const auto index = static_cast<int64_t>(i), half = static_cast<int64_t>(n / 2);
        const std::span<float> second = std::span(lost).subspan(n / 2);
        // Where it is added without a copy, or from elsewhere.
        float* place = sum.Find(index, half);
        if (place) std::copy(second.begin(), second.end(), place);
        sum.Add(index, half, place ? std::span(place, second.size()) : second);
        sum.Add(index, 0, std::span(lost).first(n / 2));
      }
      const std::span<float> all = sum.Finish();
      EXPECT_EQ(all.empty(), !ranks->is_first());
      if (ranks->is_first()) result.assign(all.begin(), all.end());
    }
  });
  return result;
}

TEST(GradientSum, IsTheTreesWhoeverAddsWhat) {
  std::mt19937 rng(151);
  size_t others = 0;
  for (size_t count = 1; count <= 9; ++count) {
    const auto gradients = RandomGradients(count, 23, rng);
    const std::vector<float> expected = TreeSum(gradients);
    std::vector<float> in_order(23);
    for (const std::vector<float>& gradient : gradients)
      for (size_t j = 0; j < in_order.size(); ++j) in_order[j] += gradient[j];
    others += in_order != expected;
    for (const int size : {1, 2, 3, 4, 8})
      for (int round = 0; round < 12; ++round) {
        std::vector<int> owners(count);
        for (size_t i = 1; i < count; ++i)
          owners[i] = static_cast<int>(rng() % static_cast<uint64_t>(size));
        std::sort(owners.begin(), owners.end());
        EXPECT_TRUE(testing::SameBits(SumOnRanks(gradients, owners, size), expected))
            << count << " samples: " << ::testing::PrintToString(owners);
      }
  }
  EXPECT_GE(others, 5u);
}

TEST(GradientSum, MayTakeSeveralMessages) {
  std::mt19937 rng(152);
  const auto gradients = RandomGradients(3, (size_t{1} << 21) + 5, rng);
  const std::vector<float> expected = TreeSum(gradients);
  EXPECT_TRUE(testing::SameBits(SumOnRanks(gradients, {0, 1, 1}, 2), expected));
  EXPECT_TRUE(testing::SameBits(SumOnRanks(gradients, {0, 1, 2}, 3), expected));
}

}  // namespace
}  // namespace slm::train
