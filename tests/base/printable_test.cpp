#include "base/printable.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace slm {
namespace {

TEST(Printable, ControlCharactersAreWrittenOut) {
  EXPECT_EQ(Printable("a\tb\n\xc3\xa9 \xff"), "a\tb\n\xc3\xa9 \xff");
  EXPECT_EQ(Printable("\x1b[2J\r\x7f"), "\\x1b[2J\\x0d\\x7f");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "31m\xc2\xa0\xc2"),
            "\\x9b"
            "31m\xc2\xa0\xc2");
  EXPECT_EQ(Printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, IsWhatErrorsSay) {
  EXPECT_STREQ(Error(Code::kBadInput, "key {}", "\x1b]0;x\a").what(), "key \\x1b]0;x\\x07");
}

}  // namespace
}  // namespace slm
