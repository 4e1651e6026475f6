#include "compress/type_search.h"

#include <gtest/gtest.h>

#include <random>

namespace slm::compress {
namespace {

using Tensors = std::vector<std::vector<TypeOption>>;

Tensors RandomTensors(std::mt19937& rng, size_t count, size_t options) {
  Tensors tensors(count);
  for (auto& tensor : tensors)
    for (size_t i = 0; i < options; ++i)
      tensor.push_back({quant::Type::kQ4_0, 1 + rng() % 100, static_cast<double>(rng() % 1000)});
  return tensors;
}

// Every combination.
double BestCost(const Tensors& tensors, size_t at, int64_t bytes_left) {
  if (bytes_left < 0) return 1e300;
  if (at == tensors.size()) return 0;
  double best = 1e300;
  for (const TypeOption& option : tensors[at])
    best = std::min(best, option.cost + BestCost(tensors, at + 1,
                                                 bytes_left - static_cast<int64_t>(option.bytes)));
  return best;
}

TEST(TypeSearch, StaysWithinBytesAndNearTheBest) {
  std::mt19937 rng(7);
  double ratio = 0;
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    const Tensors tensors = RandomTensors(rng, 6, 4);
    const uint64_t budget = 100 + rng() % 300;
    const TypeSearchResult result = ChooseWithinBytes(tensors, budget);
    uint64_t bytes = 0;
    double cost = 0;
    for (size_t t = 0; t < tensors.size(); ++t) {
      bytes += tensors[t][result.chosen[t]].bytes;
      cost += tensors[t][result.chosen[t]].cost;
    }
    EXPECT_EQ(bytes, result.bytes);
    EXPECT_NEAR(cost, result.cost, 1e-9);
    const double best = BestCost(tensors, 0, static_cast<int64_t>(budget));
    if (best > 1e200) continue;  // not even the smallest fit
    EXPECT_LE(bytes, budget);
    EXPECT_GE(cost, best - 1e-9);
    ratio += (best + 100) / (cost + 100);
  }
  EXPECT_GT(ratio / kRounds, 0.8);  // few tensors: the last upgrade that fits decides
}

TEST(TypeSearch, SmallestOptionsWhenNothingFits) {
  const Tensors tensors = {{{quant::Type::kQ8_0, 80, 1}, {quant::Type::kQ4_0, 40, 9}},
                           {{quant::Type::kQ4_0, 40, 9}}};
  const TypeSearchResult result = ChooseWithinBytes(tensors, 10);
  EXPECT_EQ(result.bytes, 80u);
  EXPECT_EQ(result.chosen, (std::vector<size_t>{1, 0}));
}

TEST(TypeSearch, UpgradesUntilTheCostIsMet) {
  const Tensors tensors = {
      {{quant::Type::kQ4_0, 40, 10}, {quant::Type::kQ8_0, 80, 1}},
      {{quant::Type::kQ4_0, 40, 100}, {quant::Type::kQ5_0, 50, 30}, {quant::Type::kQ8_0, 80, 2}}};
  EXPECT_EQ(ChooseWithinCost(tensors, 200).bytes, 80u);
  EXPECT_EQ(ChooseWithinCost(tensors, 50).chosen, (std::vector<size_t>{0, 1}));
  EXPECT_EQ(ChooseWithinCost(tensors, 12).chosen, (std::vector<size_t>{0, 2}));
  EXPECT_EQ(ChooseWithinCost(tensors, 0).chosen, (std::vector<size_t>{1, 2}));
}

TEST(TypeSearch, LeavesOutWhatIsLargerAndWorse) {
  const Tensors tensors = {{{quant::Type::kQ4_0, 40, 10},
                            {quant::Type::kQ4_1, 45, 12},
                            {quant::Type::kQ5_0, 50, 9.9},
                            {quant::Type::kQ8_0, 60, 1}}};
  EXPECT_EQ(ChooseWithinBytes(tensors, 50).chosen, (std::vector<size_t>{0}));
  EXPECT_EQ(ChooseWithinBytes(tensors, 60).chosen, (std::vector<size_t>{3}));
}

}  // namespace
}  // namespace slm::compress
