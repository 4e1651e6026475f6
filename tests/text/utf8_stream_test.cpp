#include "text/utf8_stream.h"

#include <gtest/gtest.h>

#include <random>

namespace slm::text {
namespace {

std::string All(std::string_view bytes, size_t step) {
  Utf8Stream stream;
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += step) out += stream.Feed(bytes.substr(i, step));
  return out + stream.Flush();
}

TEST(Utf8StreamTest, HoldsBackOnlyUnfinishedCharacters) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Feed("a\xf0\x9f"), "a");
  EXPECT_EQ(stream.Feed(""), "");
  EXPECT_EQ(stream.Feed("\x98"), "");
  EXPECT_EQ(stream.Feed("\x80z"), "\xf0\x9f\x98\x80z");
  EXPECT_EQ(stream.Flush(), "");
  EXPECT_EQ(stream.Feed("\xe4\xb8"), "");
  EXPECT_EQ(stream.Flush(), "\xef\xbf\xbd");
  EXPECT_EQ(stream.Feed("b"), "b");
}

// The example of Unicode 15, table 3-11, and truncated sequences, table 3-8.
TEST(Utf8StreamTest, ReplacesMaximalSubparts) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(All("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"
                "A",
                1),
            r + r + r + r + "A");
  EXPECT_EQ(All("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82"
                "A",
                1),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(All("\xed\xa0\x80\xf4\x91\x92\x93\xff"
                "A\x80\xbf"
                "B",
                1),
            r + r + r + r + r + r + r + r + "A" + r + r + "B");
}

TEST(Utf8StreamTest, CutsDoNotMatter) {
  std::mt19937 random(11);
  for (int round = 0; round < 500; ++round) {
    std::string bytes;
    for (int i = 0; i < 20; ++i) {
      const char parts[] = {'a',    '\xc3', '\xa9', '\xe4', '\xb8',
                            '\xad', '\xf0', '\x9f', '\x98', '\xff'};
      bytes += parts[random() % std::size(parts)];
    }
    const std::string whole = All(bytes, bytes.size());
    for (size_t step = 1; step < 5; ++step) ASSERT_EQ(All(bytes, step), whole);
  }
}

}  // namespace
}  // namespace slm::text
