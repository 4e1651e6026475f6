#include "text/unicode.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace slm::text {
namespace {

Utf8Char Decode(std::string_view text) {
  return DecodeUtf8(text.data(), text.data() + text.size());
}

TEST(Utf8Test, EveryCodePointComesBack) {
  for (uint32_t code = 0; code < 0x110000; ++code) {
    std::string text;
    AppendUtf8(code, &text);
    const Utf8Char c = Decode(text + "x");
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    ASSERT_EQ(c.status == Utf8Char::kValid, !surrogate) << code;
    if (surrogate) continue;
    ASSERT_EQ(c.code, code);
    ASSERT_EQ(c.size, text.size());
    for (size_t cut = 1; cut < text.size(); ++cut) {
      const Utf8Char part = Decode(std::string_view(text).substr(0, cut));
      ASSERT_EQ(part.status, Utf8Char::kCut) << code;
      ASSERT_EQ(part.size, cut);
    }
  }
}

TEST(Utf8Test, MaximalSubparts) {
  const struct {
    std::string_view text;
    int size;
  } rows[] = {{"\x80", 1},
              {"\xbf\x80", 1},
              {"\xc0\x80", 1},
              {"\xc1\xbf", 1},
              {"\xc3(", 1},
              {"\xe0\x80\x80", 1},
              {"\xe0\xa0x", 2},
              {"\xed\xa0\x80", 1},
              {"\xf0\x80\x80\x80", 1},
              {"\xf0\x90\x80x", 3},
              {"\xf4\x90\x80\x80", 1},
              {"\xf5\x80\x80\x80", 1},
              {"\xff", 1},
              {"\xe2\xe2", 1}};
  for (const auto& [text, size] : rows) {
    EXPECT_EQ(Decode(text).status, Utf8Char::kInvalid);
    EXPECT_EQ(Decode(text).code, 0xfffdu);
    EXPECT_EQ(Decode(text).size, size);
  }
}

TEST(ClassTest, OneOfEach) {
  const struct {
    uint32_t code;
    int want;
  } rows[] = {{'A', kUpper},
              {'z', kLower},
              {'5', kNumber},
              {'_', kPunct},
              {'$', kOther},
              {'\t', kSpace},
              {'\n', kSpace | kNewline},
              {'\r', kSpace | kNewline},
              {0x0b, kSpace},
              {0x85, kSpace},
              {0xa0, kSpace},
              {0x1c, kOther},
              {0x200b, kOther},
              {0x2028, kSpace},
              {0x3000, kSpace},
              {0x180e, kOther},
              {0x1c5, kUpper},
              {0x2b0, kCaseless},
              {0xaa, kCaseless},
              {0x4e00, kCaseless},
              {0x301, kMark},
              {0x903, kMark},
              {0x20dd, kMark},
              {0xb2, kNumber},
              {0x2167, kNumber},
              {0x3007, kNumber},
              {0x2014, kPunct},
              {0xab, kPunct},
              {0x20ac, kOther},
              {0x1f600, kOther},
              {0x20000, kCaseless},
              {0x1d7d8, kNumber},
              {0xe000, kOther},
              {0x378, kOther},
              {0x10ffff, kOther},
              {0x1e922, kLower}};
  for (const auto& [code, want] : rows) EXPECT_EQ(ClassOf(code), want) << std::hex << code;
}

// The table of ASCII is written by hand: it must say what the rule for other characters says.
TEST(ClassTest, AsciiTableAgreesWithItsRule) {
  for (int c = 0; c < 128; ++c) {
    if (c == '\r' || c == '\n') continue;
    EXPECT_EQ(ClassOf(static_cast<uint32_t>(c)), internal::NonAsciiClass(static_cast<uint32_t>(c)))
        << c;
  }
}

std::string Nfc(std::string_view text) { return NormalizeNfc(text).value_or(std::string(text)); }

TEST(NfcTest, KnownCases) {
  EXPECT_EQ(NormalizeNfc("plain"), std::nullopt);
  EXPECT_EQ(NormalizeNfc("\xc3\xa9\xe4\xb8\xad\xed\x95\x9c"), std::nullopt);
  EXPECT_EQ(NormalizeNfc("q\xcc\xa3"), std::nullopt);  // a mark, but nothing to compose
  EXPECT_EQ(Nfc("cafe\xcc\x81!"), "caf\xc3\xa9!");
  EXPECT_EQ(Nfc("\xe2\x84\xab"), "\xc3\x85");                              // Angstrom sign
  EXPECT_EQ(Nfc("q\xcc\x87\xcc\xa3"), "q\xcc\xa3\xcc\x87");                // marks in order
  EXPECT_EQ(Nfc("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab"), "\xed\x95\x9c");  // jamo
  EXPECT_EQ(Nfc("\xed\x95\x98\xe1\x86\xab"), "\xed\x95\x9c");              // syllable and final
  EXPECT_EQ(Nfc("\xe0\xa6\x95\xe0\xa7\x87\xe0\xa6\xbe"), "\xe0\xa6\x95\xe0\xa7\x8b");
  EXPECT_EQ(Nfc("\xe0\xa5\x98"), "\xe0\xa4\x95\xe0\xa4\xbc");  // not composed again
  EXPECT_EQ(Nfc("a\xcc\x81"
                "e\xcc\x81 e\xcc\x81"),
            "\xc3\xa1\xc3\xa9 \xc3\xa9");
}

TEST(NfcTest, InvalidBytesStayAndSeparate) {
  EXPECT_EQ(NormalizeNfc("e\xff\xcc\x81\xe4\xb8"), std::nullopt);
  EXPECT_EQ(Nfc("\xff"
                "e\xcc\x81\xff\xcc"),
            "\xff\xc3\xa9\xff\xcc");
}

TEST(NfcTest, IsIdempotentOnAnything) {
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) {
      const uint32_t ranges[] = {0x41, 0x300, 0x900, 0x1100, 0x1ab0, 0xac00, 0x1e00, 0x2f800};
      if (random() % 12 == 0) text.push_back(static_cast<char>(random()));
      AppendUtf8(ranges[random() % std::size(ranges)] + static_cast<uint32_t>(random() % 0x70),
                 &text);
    }
    const std::string once = Nfc(text);
    EXPECT_EQ(NormalizeNfc(once), std::nullopt);
  }
}

TEST(NfcTest, ManyMarksTakeNoSquareOfTime) {
  std::string text = "a";
  for (int i = 0; i < 300000; ++i) text += i % 2 ? "\xcc\xa3" : "\xcc\x81";
  const std::string normal = Nfc(text);
  EXPECT_EQ(normal.substr(0, 7), "\xe1\xba\xa1\xcc\xa3\xcc\xa3");  // all dots below come first
}

}  // namespace
}  // namespace slm::text
