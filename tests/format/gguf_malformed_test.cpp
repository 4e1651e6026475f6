// Every way we know in which a GGUF file can be wrong, with the code and the words of the error.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "format/gguf.h"
#include "format/gguf_bytes.h"

namespace slm::format {
namespace {

// From memory of exactly the right size, so that a sanitizer sees any step beyond it.
void Parse(std::string_view text) {
  const auto copy = std::make_unique<uint8_t[]>(text.size());
  std::copy(text.begin(), text.end(), copy.get());
  GgufFile::Parse({copy.get(), text.size()});
}

struct Case {
  const char* name;
  GgufBytes file;
  std::vector<const char*> words;
  Code code = Code::kBadInput;
};

constexpr uint32_t kU8 = 0, kU32 = 4, kI32 = 5, kBool = 7, kString = 8, kArray = 9, kU64 = 10;
constexpr uint32_t kF32 = 0, kQ4_0 = 2, kQ4_K = 12;

GgufBytes Magic(std::string_view start) {
  GgufBytes bytes;
  bytes.Raw(start);
  return bytes.Data(64);
}

std::vector<Case> HeaderCases() {
  GgufBytes big_endian;
  big_endian.Raw("GGUF").Put(__builtin_bswap32(3)).Data(64);
  return {
      {"bad magic", Magic("FUGG"), {"at byte 0", "'GGUF'", "'FUGG'"}},
      {"unprintable magic", Magic("\x7f\x45\x4c\x46"), {"'\\x7fELF'"}},
      {"short magic", GgufBytes().Raw("GGU"), {"'GGU'"}},
      {"git lfs", Magic("version https://git-lfs.github.com/spec/v1"), {"Git LFS pointer"}},
      {"zip", Magic("PK\x03\x04"), {"ZIP archive"}},
      {"old ggml", Magic("tjgg"), {"before GGUF"}},
      {"version 0", GgufBytes::Start(0, 0, 0), {"at byte 4", "version 2 or 3, got 0"}},
      {"version 1", GgufBytes::Start(0, 0, 1), {"version 2 or 3, got 1"}},
      {"future version", GgufBytes::Start(0, 0, 4), {"got 4"}},
      {"big-endian", big_endian, {"big-endian"}},
      {"no version", GgufBytes().Raw("GGUF"), {"the version (4 bytes)", "after 0 bytes"}},
      {"tensor count", GgufBytes::Start(~0ull, 0), {"at byte 8", "number of tensors"}},
      {"negative tensor count", GgufBytes::Start(1ull << 63, 0), {"number of tensors"}},
      {"one tensor too many", GgufBytes::Start(2, 0).Data(32), {"number of tensors", "got 2"}},
      {"key count", GgufBytes::Start(0, ~0ull), {"at byte 16", "number of keys"}},
      {"key count that multiplies to 0", GgufBytes::Start(0, 1ull << 62), {"number of keys"}},
  };
}

std::vector<Case> KeyCases() {
  const auto one = [](uint64_t keys = 1) { return GgufBytes::Start(0, keys); };
  return {
      {"key size", one().Put(~0ull).Data(64), {"key 1 of 1", "at byte 32", "end of the file"}},
      {"empty key", one().Key("", kU8, uint8_t{1}).Data(9), {"empty name"}},
      {"long key", one().Key(std::string(70000, 'k'), kU8, uint8_t{1}), {"65535", "70000"}},
      {"value type", one().Key("a.b", 13, uint64_t{0}), {"key 'a.b'", "below 13, got 13"}},
      {"value type ~0", one().Key("a.b", ~0u, uint64_t{0}), {"got 4294967295"}},
      {"value cut short", one().Key("a.b", kU64, uint32_t{0}), {"8 bytes", "after 4 bytes"}},
      {"bool of 2", one().Key("flag", kBool, uint8_t{2}), {"'flag'", "0 or 1, got 2"}},
      {"bool array of 2",
       one().Key("flags", kArray, kBool).Put(uint64_t{3}).Raw(std::string("\x01\x00\x02", 3)),
       {"'flags'", "0 or 1, got 2"}},
      {"string size", one().Key("s", kString, ~0ull).Data(64), {"'s'", "end of the file"}},
      {"string one too long", one().Key("s", kString, uint64_t{5}).Raw("four"), {"after 4 bytes"}},
      {"array size", one().Key("a", kArray, kU32).Put(~0ull).Data(64), {"'a'", "items of 4 bytes"}},
      {"array size that multiplies to 0",
       one().Key("a", kArray, kU32).Put(uint64_t{1} << 62).Data(64),
       {"items of 4 bytes"}},
      {"string array size",
       one().Key("a", kArray, kString).Put(uint64_t{100}).Data(64),
       {"expected 100 strings"}},
      {"string array item",
       one().Key("a", kArray, kString).Put(uint64_t{2}).String("x").Put(~0ull).Data(64),
       {"'a'", "a string"}},
      {"array item type", one().Key("a", kArray, 77u).Put(uint64_t{0}), {"below 13, got 77"}},
      {"array of arrays",
       one().Key("a", kArray, kArray).Put(uint64_t{0}),
       {"arrays of arrays"},
       Code::kUnsupported},
      {"duplicate key",
       one(2).Key("a.b", kU32, 1u).Key("a.b", kU8, uint8_t{1}),
       {"'a.b'", "duplicate", "entry 1"}},
      {"unprintable key", one().Key("\x1b[2J", kU32), {"'\\x1b[2J'"}},
  };
}

std::vector<Case> AlignmentCases() {
  const auto align = [](uint32_t alignment) {
    return GgufBytes::Start(0, 1).Key("general.alignment", kU32, alignment);
  };
  const auto other = [](uint32_t type) {
    return GgufBytes::Start(0, 1).Key("general.alignment", type, uint64_t{32});
  };
  return {
      {"alignment 0", align(0), {"'general.alignment'", "power of two", "got 0"}},
      {"alignment 13", align(13), {"got 13"}},
      {"alignment 4", align(4), {"at least 8, got 4"}},
      {"alignment ~0", align(~0u), {"got 4294967295"}},
      {"alignment of type int32", other(kI32), {"expected uint32, got int32"}},
      {"alignment of type uint64", other(kU64), {"expected uint32, got uint64"}},
      {"alignment array",
       GgufBytes::Start(0, 1).Key("general.alignment", kArray, kU32).Put(uint64_t{1}).Put(32u),
       {"array of 1 uint32"}},
      {"huge alignment",
       GgufBytes::Start(1, 1)
           .Key("general.alignment", kU32, 1u << 31)
           .Tensor("t", {8}, kF32, 0)
           .Data(32),
       {"tensor 't'", "2147483648 + 0"}},
  };
}

std::vector<Case> ShapeCases() {
  const auto one = [] { return GgufBytes::Start(1, 0); };
  return {
      {"name size", one().Put(~0ull).Data(64), {"tensor 1 of 1", "a tensor name"}},
      {"long name",
       one().Tensor(std::string(65, 'n'), {8}, kF32, 0).Data(32),
       {"at most 64 bytes, got 65"}},
      {"empty name", one().Tensor("", {8}, kF32, 0).Data(32), {"an empty one"}},
      {"5 dims",
       one().Tensor("t", {1, 1, 1, 1, 1}, kF32, 0).Data(32),
       {"'t'", "at most 4", "got 5"}},
      {"~0 dims", one().String("t").Put(~0u).Data(64), {"got 4294967295"}},
      {"zero dim", one().Tensor("t", {8, 0}, kF32, 0).Data(32), {"dimension 1", "got 0"}},
      {"negative dim", one().Tensor("t", {~0ull}, kF32, 0).Data(32), {"dimension 0"}},
      {"too many elements",
       one().Tensor("t", {1ull << 32, 1ull << 31}, kF32, 0).Data(32),
       {"2^63 elements"}},
      {"elements that multiply to 0",
       one().Tensor("t", {1ull << 32, 1ull << 32}, kF32, 0).Data(32),
       {"2^63 elements"}},
      {"too many bytes", one().Tensor("t", {1ull << 62}, kF32, 0).Data(32), {"2^64 bytes"}},
      {"bytes that wrap with padding",
       one().Tensor("t", {(1ull << 62) - 1}, kF32, 0).Data(32),
       {"truncated"}},
      {"row of half a block",
       one().Tensor("t", {48, 2}, kQ4_0, 0).Data(64),
       {"multiple of 32 elements for Q4_0, got 48"}},
      {"row of half a super-block",
       one().Tensor("t", {128, 2}, kQ4_K, 0).Data(256),
       {"multiple of 256 elements for Q4_K, got 128"}},
      {"unsupported type",
       one().Tensor("blk.0.w", {256}, 16, 0).Data(66),
       {"tensor 'blk.0.w'", "IQ2_XXS (16)"},
       Code::kUnsupported},
      {"integers", one().Tensor("t", {8}, 26, 0).Data(32), {"I32 (26)"}, Code::kUnsupported},
      {"unknown type", one().Tensor("t", {8}, 999, 0).Data(32), {"tensor type 999 is unknown"}},
  };
}

std::vector<Case> DataCases() {
  const auto one = [] { return GgufBytes::Start(1, 0); };
  const auto two = [] { return GgufBytes::Start(2, 0); };
  return {
      {"offset", one().Tensor("t", {8}, kF32, 4).Data(64), {"'t'", "multiple of 32, got 4"}},
      {"offset beyond the file", one().Tensor("t", {8}, kF32, 1ull << 40).Data(64), {"truncated"}},
      {"offset that wraps", one().Tensor("t", {8}, kF32, ~31ull).Data(64), {"truncated"}},
      {"one byte short", one().Tensor("t", {8}, kF32, 0).Data(31), {"32 bytes", "of 95 bytes"}},
      {"no data", one().Tensor("t", {8}, kF32, 0), {"'t'", "truncated"}},
      {"second tensor cut",
       two().Tensor("a", {8}, kF32, 0).Tensor("b", {8}, kF32, 32).Data(40),
       {"'b'", "truncated"}},
      {"overlap",
       two().Tensor("a", {16}, kF32, 0).Tensor("b", {8}, kF32, 32).Data(64),
       {"'b'", "overlap with tensor 'a'"}},
      {"same place",
       two().Tensor("a", {8}, kF32, 0).Tensor("b", {8}, kF32, 0).Data(64),
       {"overlap"}},
      {"overlap against the order",
       two().Tensor("a", {8}, kF32, 32).Tensor("b", {16}, kF32, 0).Data(64),
       {"'a'", "overlap with tensor 'b'"}},
      {"duplicate name",
       two().Tensor("a", {8}, kF32, 0).Tensor("a", {8}, kF32, 32).Data(64),
       {"'a'", "duplicate"}},
      {"alignment other than the offsets have",
       GgufBytes::Start(2, 1)
           .Key("general.alignment", kU32, 64u)
           .Tensor("a", {8}, kF32, 0)
           .Tensor("b", {8}, kF32, 32)
           .Data(64, 64),
       {"'b'", "multiple of 64, got 32"}},
      {"a part of a split model",
       GgufBytes::Start(0, 1).Key("split.count", 2, uint16_t{3}),
       {"one of 3 parts"}},
      {"split.count of another type",
       GgufBytes::Start(0, 1).Key("split.count", kString).String("3"),
       {"'split.count'", "expected an unsigned integer"}},
  };
}

void Check(const std::vector<Case>& cases) {
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    try {
      Parse(test.file.text());
      ADD_FAILURE() << "was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), test.code) << error.what();
      for (const char* word : test.words)
        EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
            << "no \"" << word << "\" in: " << error.what();
    }
  }
}

TEST(GgufMalformed, Header) { Check(HeaderCases()); }
TEST(GgufMalformed, Keys) { Check(KeyCases()); }
TEST(GgufMalformed, Alignment) { Check(AlignmentCases()); }
TEST(GgufMalformed, Shapes) { Check(ShapeCases()); }
TEST(GgufMalformed, Data) { Check(DataCases()); }

TEST(GgufMalformed, Empty) { EXPECT_THROW(GgufFile::Parse({}), Error); }

// Has every kind of thing a file has.
GgufBytes Everything() {
  GgufBytes file = GgufBytes::Start(3, 5);
  file.Key("general.architecture", kString).String("test");
  file.Key("general.alignment", kU32, 32u);
  file.Key("flag", kBool, uint8_t{1});
  file.Key("names", kArray, kString).Put(uint64_t{2}).String("").String("two");
  file.Key("numbers", kArray, kU64).Put(uint64_t{2}).Put(uint64_t{1}).Put(uint64_t{2});
  file.Tensor("scalar", {}, kF32, 0).Tensor("a", {32, 2}, kQ4_0, 32).Tensor("b", {2}, kF32, 96);
  return file.Data(104);
}

TEST(GgufMalformed, EveryPrefixThrows) {
  const std::string whole = Everything().text();
  EXPECT_NO_THROW(Parse(whole));
  for (size_t length = 0; length < whole.size(); ++length) {
    try {
      Parse(std::string_view(whole).substr(0, length));
      ADD_FAILURE() << "a prefix of " << length << " bytes was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadInput) << length << ": " << error.what();
    }
  }
}

// Any byte may be wrong: the result is a file or an Error, never anything else.
TEST(GgufMalformed, EveryByteChanged) {
  const std::string whole = Everything().text();
  int accepted = 0, refused = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    const int was = static_cast<uint8_t>(whole[i]);
    for (const int value : {0, 1, 0x7f, 0x80, 0xff, was + 1, was - 1, was ^ 32}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(value & 255);
      try {
        Parse(changed);
        ++accepted;
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(accepted, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace slm::format
