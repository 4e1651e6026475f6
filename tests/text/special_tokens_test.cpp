#include "text/special_tokens.h"

#include <gtest/gtest.h>

#include "text/tokenizer.h"
#include "text/vocab_files.h"

namespace slm::text {
namespace {

struct Found {
  size_t begin, end;
  int32_t id;
  bool operator==(const Found&) const = default;
};

std::vector<Found> FindAll(const SpecialMatcher& matcher, std::string_view text) {
  std::vector<Found> all;
  for (size_t pos = 0;;) {
    const SpecialMatch match = matcher.Next(text, pos);
    if (match.id < 0) return all;
    all.push_back({match.begin, match.end, match.id});
    pos = match.end;
  }
}

TEST(SpecialMatcherTest, LeftmostThenLongest) {
  const SpecialMatcher matcher({{"ab", 0}, {"abc", 1}, {"abcde", 2}, {"bcd", 3}, {"x", 4}});
  EXPECT_EQ(FindAll(matcher, "abcd abcde ab x"),
            (std::vector<Found>{{0, 3, 1}, {5, 10, 2}, {11, 13, 0}, {14, 15, 4}}));
  EXPECT_EQ(FindAll(matcher, "aabcd"), (std::vector<Found>{{1, 4, 1}}));
  EXPECT_EQ(FindAll(matcher, "a"), std::vector<Found>());
  EXPECT_EQ(FindAll(matcher, ""), std::vector<Found>());
  EXPECT_EQ(FindAll(SpecialMatcher({}), "abc"), std::vector<Found>());
}

TEST(SpecialMatcherTest, StripsWhiteSpace) {
  const SpecialMatcher matcher({{"<l>", 0, true, false}, {"<r>", 1, false, true}});
  EXPECT_EQ(FindAll(matcher, "a \xe3\x80\x80\n<l> b"), (std::vector<Found>{{1, 9, 0}}));
  EXPECT_EQ(FindAll(matcher, "a <r> \xc2\xa0\nb"), (std::vector<Found>{{2, 9, 1}}));
  EXPECT_EQ(FindAll(matcher, "<r>  <l>"), (std::vector<Found>{{0, 5, 1}, {5, 8, 0}}));
  EXPECT_EQ(FindAll(matcher, "\x80\x80<l>"), (std::vector<Found>{{2, 5, 0}}));
}

std::vector<int32_t> Ends(std::vector<std::string_view> tokens, std::vector<TokenType>* types) {
  int32_t eot = -1, eom = -1;
  types->resize(tokens.size(), TokenType::kControl);
  return AssignRoles(tokens, types, -1, &eot, &eom);
}

TEST(RolesTest, KnownNamesEndGeneration) {
  std::vector<TokenType> types(3, TokenType::kNormal);
  EXPECT_EQ(Ends({"a", "<|im_end|>", "</s>"}, &types), (std::vector<int32_t>{1}));
  EXPECT_EQ(types[1], TokenType::kControl);  // whatever the file says
  EXPECT_EQ(types[2], TokenType::kNormal);   // an HTML tag
  types = {};
  EXPECT_EQ(Ends({"</s>", "<|start|>"}, &types), (std::vector<int32_t>{0}));
}

TEST(RolesTest, HarmonyEndsNotAtTheEndOfAMessage) {
  std::vector<TokenType> types;
  EXPECT_EQ(Ends({"<|end|>", "<|return|>", "<|call|>"}, &types), (std::vector<int32_t>{1, 2}));
  types = {};
  EXPECT_EQ(Ends({"<|end|>", "<|return|>"}, &types), (std::vector<int32_t>{0, 1}));
}

TEST(RolesTest, MetadataCounts) {
  std::vector<TokenType> types(4, TokenType::kControl);
  int32_t eot = 2, eom = -1;
  EXPECT_EQ(AssignRoles({"a", "b", "c", "<|eom_id|>"}, &types, 1, &eot, &eom),
            (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(eot, 2);
  EXPECT_EQ(eom, 3);
}

TEST(SpecialTokensTest, Phi4StripsBothSides) {
  std::vector<std::string> tokens = ByteTokens();
  std::vector<TokenType> types(256, TokenType::kNormal);
  for (const char* token : {"<|im_start|>", "<|im_sep|>"}) {
    tokens.push_back(token);
    types.push_back(TokenType::kControl);
  }
  const VocabFile phi4 = MakeVocab("gpt2", "dbrx", tokens, types);
  EXPECT_EQ(Tokenizer(phi4.vocab).Encode("a <|im_start|>\n b", {.parse_special = true}),
            (std::vector<int32_t>{'a', 256, 'b'}));
  const VocabFile qwen = MakeVocab("gpt2", "qwen2", tokens, types);
  EXPECT_EQ(Tokenizer(qwen.vocab).Encode("a <|im_start|>\n b", {.parse_special = true}),
            (std::vector<int32_t>{'a', ' ', 256, '\n', ' ', 'b'}));
}

}  // namespace
}  // namespace slm::text
