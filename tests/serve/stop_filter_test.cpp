#include "serve/stop_filter.h"

#include <gtest/gtest.h>

#include <random>

namespace slm::serve {
namespace {

// The text in pieces of `piece` bytes, through a filter.
std::string Filtered(const std::vector<std::string>& stop, const std::string& text, size_t piece) {
  StopFilter filter(stop);
  std::string out;
  for (size_t at = 0; at < text.size() && !filter.has_stopped(); at += piece)
    out += filter.Push(text.substr(at, piece));
  return filter.has_stopped() ? out : out + filter.Flush();
}

std::string Expected(const std::vector<std::string>& stop, const std::string& text) {
  size_t end = text.size();
  for (const std::string& s : stop) end = std::min(end, text.find(s));
  return text.substr(0, end);
}

TEST(StopFilter, PassesOnWhatCannotBeAStop) {
  StopFilter filter({"END"});
  EXPECT_EQ(filter.Push("abc"), "abc");
  EXPECT_EQ(filter.Push("dE"), "d");
  EXPECT_EQ(filter.Push("N"), "");
  EXPECT_EQ(filter.Push("x"), "ENx");
  EXPECT_EQ(filter.Push("yENDz"), "y");
  EXPECT_TRUE(filter.has_stopped());
}

TEST(StopFilter, ByPiecesAsByTheWhole) {
  std::mt19937 rng(1);
  const auto random = [&](size_t most) {
    std::string s(rng() % most, ' ');
    for (char& c : s) c = static_cast<char>('a' + rng() % 2);
    return s;
  };
  for (int round = 0; round < 3000; ++round) {
    const std::vector<std::string> stop = {"a" + random(5), "bab" + random(3)};
    const std::string text = random(30);
    // One byte at a time the first stop that is complete ends the text; in longer pieces the one
    // that begins first does. Both are the same where no stop holds another.
    if (stop[0].find(stop[1]) != std::string::npos || stop[1].find(stop[0]) != std::string::npos)
      continue;
    EXPECT_EQ(Filtered(stop, text, 100), Expected(stop, text));
    EXPECT_EQ(Filtered(stop, text, 1), Expected(stop, text)) << stop[0] << " " << stop[1];
  }
}

}  // namespace
}  // namespace slm::serve
