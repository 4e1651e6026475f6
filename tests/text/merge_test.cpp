#include "text/merge.h"

#include <gtest/gtest.h>

#include <random>

namespace slm::text {
namespace {

// Random rules over a few ids, so that merges chain and ranks repeat.
Merge Rule(const Symbol& left, const Symbol& right, uint32_t seed) {
  const uint32_t mix =
      (static_cast<uint32_t>(left.id) * 31 + static_cast<uint32_t>(right.id)) * 2654435761u + seed;
  if (mix % 3 != 0) return {};
  return {mix / 3 % 7, static_cast<int32_t>(mix / 64 % 9)};
}

TEST(MergeTest, ShortAndLongAgree) {
  std::mt19937 random(5);
  for (uint32_t round = 0; round < 5000; ++round) {
    std::vector<Symbol> symbols;
    const auto n = static_cast<uint32_t>(random() % (internal::kShortPiece + 1));
    for (uint32_t i = 0; i < n; ++i)
      symbols.push_back({i, i + 1, static_cast<int32_t>(random() % 9)});
    std::vector<Symbol> other = symbols;
    const auto rule = [&](const Symbol& a, const Symbol& b) { return Rule(a, b, round); };
    internal::MergeShort(&symbols, rule);
    internal::MergeLong(&other, rule);
    ASSERT_EQ(symbols.size(), other.size());
    for (size_t i = 0; i < symbols.size(); ++i) {
      ASSERT_EQ(symbols[i].id, other[i].id);
      ASSERT_EQ(symbols[i].begin, other[i].begin);
      ASSERT_EQ(symbols[i].end, other[i].end);
      ASSERT_EQ(symbols[i].end, i + 1 < symbols.size() ? symbols[i + 1].begin : n);
    }
  }
}

TEST(MergeTest, BestFirstThenLeftmost) {
  // ids: a=0; aa=1 (rank 1), aab=2 (rank 0)
  const auto rule = [](const Symbol& l, const Symbol& r) -> Merge {
    if (l.id == 0 && r.id == 0) return {1, 1};
    if (l.id == 1 && r.id == 3) return {0, 2};
    return {};
  };
  std::vector<Symbol> symbols = {{0, 1, 0}, {1, 2, 0}, {2, 3, 0}, {3, 4, 3}};
  MergeSymbols(&symbols, rule);
  ASSERT_EQ(symbols.size(), 3u);  // aa, a, b: the left pair went first
  EXPECT_EQ(symbols[0].id, 1);
  EXPECT_EQ(symbols[1].id, 0);
}

}  // namespace
}  // namespace slm::text
