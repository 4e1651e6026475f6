#include "engine/ngram_index.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace slm::engine {
namespace {

using Tokens = std::vector<int32_t>;

NgramIndex::Match Find(const Tokens& tokens) { return NgramIndex().Find(tokens); }

void ExpectMatch(const NgramIndex::Match& got, int64_t length, int64_t next) {
  EXPECT_EQ(got.length, length);
  EXPECT_EQ(length == 0 ? 0 : got.next, next);
}

TEST(NgramIndex, FindsTheLongestThenTheLatest) {
  ExpectMatch(Find({}), 0, 0);
  ExpectMatch(Find({1}), 0, 0);
  ExpectMatch(Find({1, 1}), 0, 0);
  ExpectMatch(Find({1, 2, 3, 2}), 0, 0);                       // one token is no match
  ExpectMatch(Find({1, 2, 3, 1, 2}), 2, 2);                    // up to the start of the list
  ExpectMatch(Find({1, 1, 1}), 2, 2);                          // overlapping its own place
  ExpectMatch(Find({9, 1, 2, 5, 8, 1, 2, 6, 1, 2}), 2, 7);     // the latest
  ExpectMatch(Find({9, 1, 2, 5, 8, 1, 2, 6, 9, 1, 2}), 3, 3);  // the longest
}

TEST(NgramIndex, LengthsAreCapped) {
  Tokens tokens;
  for (int32_t i = 0; i < 50; ++i) tokens.push_back(i);
  tokens.insert(tokens.end(), tokens.begin(), tokens.begin() + 40);
  ExpectMatch(Find(tokens), NgramIndex::kLongest, 40);
}

TEST(NgramIndex, GrowsWithTheList) {
  std::mt19937 rng(1);
  Tokens tokens;
  NgramIndex index;
  for (int i = 0; i < 400; ++i) {
    // Now and then several at once, as after a check of guesses.
    for (int n = i % 7 == 0 ? 5 : 1; n > 0; --n) tokens.push_back(static_cast<int32_t>(rng() % 6));
    const NgramIndex::Match got = index.Find(tokens);
    // Every earlier place, one by one.
    NgramIndex::Match best;
    const auto size = static_cast<int64_t>(tokens.size());
    for (int64_t next = size - 1; next > 1; --next) {
      int64_t length = 0;
      while (length < std::min(NgramIndex::kLongest, next) &&
             tokens[static_cast<size_t>(next - 1 - length)] ==
                 tokens[static_cast<size_t>(size - 1 - length)])
        ++length;
      if (length >= NgramIndex::kShortest && length > best.length) best = {length, next};
    }
    ASSERT_EQ(got.length, best.length) << i;
    ASSERT_EQ(got.next, best.next) << i;
  }
}

}  // namespace
}  // namespace slm::engine
