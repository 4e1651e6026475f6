#include "eval/nearest_example.h"

#include <gtest/gtest.h>

namespace slm::eval {
namespace {

TEST(NearestExample, IsThatWithTheRarestWordsInCommon) {
  const NearestExample nearest({"Where is my card?", "How do I top up my account?",
                                "My card was stolen", "What is the exchange rate"});
  EXPECT_EQ(nearest.Find("where's MY card"), 0u);
  EXPECT_EQ(nearest.Find("topping up fails"), 1u);
  EXPECT_EQ(nearest.Find("someone has stolen it"), 2u);
  EXPECT_EQ(nearest.Find("exchange rates of today?"), 3u);
}

TEST(NearestExample, TheFirstIsTakenWhereNoneIsNear) {
  const NearestExample nearest({"abc", "def", "abc"});
  EXPECT_EQ(nearest.Find(""), 0u);
  EXPECT_EQ(nearest.Find("xyz"), 0u);
  EXPECT_EQ(nearest.Find("abc"), 0u);
  EXPECT_EQ(nearest.Find("def"), 1u);
}

}  // namespace
}  // namespace slm::eval
