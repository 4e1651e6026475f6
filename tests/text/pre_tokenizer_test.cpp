#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "support/data.h"
#include "text/tokenizer.h"
#include "text/unicode.h"
#include "text/vocab_files.h"

namespace slm::text {
namespace {

using nlohmann::json;
using Pieces = std::vector<std::string>;

Pieces Split(const char* name, std::string_view text) {
  const PreTokenizer* const pre = FindPreTokenizer(name);
  Pieces pieces;
  const char* const end = text.data() + text.size();
  for (const char* p = text.data(); p < end;) {
    const char* const next = pre->next(p, end);
    if (next <= p || next > end) {
      ADD_FAILURE() << name << " goes from " << p - text.data() << " to " << next - text.data();
      break;
    }
    pieces.emplace_back(p, next);
    p = next;
  }
  return pieces;
}

// Hugging Face's tokenizers with the published expressions, over a small vocabulary whose merges
// cross every boundary: a wrong split shows.
TEST(PreTokenizerTest, AgreesWithThePublishedExpressions) {
  const json golden = json::parse(testing::ReadFile(GoldenPath("tiny_bpe")));
  const std::vector<std::string> tokens = golden["tokens"];
  std::vector<TokenType> types(tokens.size(), TokenType::kNormal);
  types[tokens.size() - 2] = types[tokens.size() - 1] = TokenType::kControl;
  const std::vector<std::string> strings = GoldenStrings();
  size_t checked = 0;
  for (const auto& [pre, hashes] : golden["hashes"].items()) {
    const VocabFile file = MakeVocab("gpt2", pre, tokens, types, golden["merges"]);
    const Tokenizer tokenizer(file.vocab);
    for (size_t i = 0; i < strings.size(); ++i) {
      const auto ids = tokenizer.Encode(strings[i], {.parse_special = true});
      EXPECT_EQ(Fnv1a(ids).substr(0, 8), hashes[i].get<std::string>())
          << pre << " of " << json(strings[i]).dump() << ": " << json(ids).dump();
      ++checked;
    }
  }
  EXPECT_EQ(checked, strings.size() * 9);
}

TEST(PreTokenizerTest, AliasesAreTheSame) {
  for (const char* name : {"llama3", "llama-v3", "smaug-bpe"})
    EXPECT_EQ(FindPreTokenizer(name)->next, FindPreTokenizer("llama-bpe")->next);
  EXPECT_EQ(FindPreTokenizer("llama"), nullptr);
  EXPECT_EQ(FindPreTokenizer(""), nullptr);
  EXPECT_NE(PreTokenizerNames().find("qwen2, "), std::string::npos);
}

TEST(PreTokenizerTest, WhatSetsThemApart) {
  EXPECT_EQ(Split("llama-bpe", "We'LL 12345!\n\n  x"),
            (Pieces{"We", "'LL", " ", "123", "45", "!\n\n", " ", " x"}));
  EXPECT_EQ(Split("gpt-2", "We'LL 12345!\n\n  x"),
            (Pieces{"We", "'", "LL", " 12345", "!", "\n\n ", " x"}));
  EXPECT_EQ(Split("qwen2", " 12"), (Pieces{" ", "1", "2"}));
  EXPECT_EQ(Split("smollm", "a  12"), (Pieces{"a", "  ", "1", "2"}));
  EXPECT_EQ(Split("default", "a  1234.$x"), (Pieces{"a", " ", " ", "123", "4", ".$", "x"}));
  EXPECT_EQ(Split("gpt-4o", "HelloWORLD's/\n"), (Pieces{"Hello", "WORLD's", "/\n"}));
  EXPECT_EQ(Split("tekken", "HelloWORLD's 12"), (Pieces{"Hello", "WORLD", "'s", " ", "1", "2"}));
  // tiktoken's \s+$ keeps trailing white space whole, newlines or not.
  EXPECT_EQ(Split("cl100k", "a\n  "), (Pieces{"a", "\n  "}));
  EXPECT_EQ(Split("dbrx", "a\n  "), (Pieces{"a", "\n", "  "}));
  EXPECT_EQ(Split("llama-bpe", "x'\xc5\xbfy"), (Pieces{"x", "'\xc5\xbf", "y"}));  // the long s
  EXPECT_EQ(Split("gpt-4o",
                  "\xcc\x81"
                  "AB"),
            (Pieces{"\xcc\x81", "AB"}));  // a mark alone
}

TEST(PreTokenizerTest, InvalidBytesAreSymbols) {
  EXPECT_EQ(Split("llama-bpe", "a\xff\xfe b\xe4\xb8"), (Pieces{"a", "\xff\xfe", " b", "\xe4\xb8"}));
  EXPECT_EQ(Split("gpt-2", " \xc0\xaf!"), (Pieces{" \xc0\xaf!"}));
}

TEST(PreTokenizerTest, AnyBytesAreSplitWithoutLoss) {
  std::mt19937 random(7);
  const std::string_view parts[] = {" ",
                                    "\n",
                                    "\r",
                                    "'",
                                    "s",
                                    "A",
                                    "1",
                                    "\xcc\x81",
                                    "\xe4\xb8",
                                    "\xad",
                                    "/",
                                    "$",
                                    "\xf0\x9f\x98\x80",
                                    "\xc2\xa0",
                                    "\xff",
                                    "\xc5\xbf",
                                    "ll",
                                    "\xc7\x85"};
  for (const char* name :
       {"llama-bpe", "cl100k", "dbrx", "qwen2", "gpt-4o", "tekken", "smollm", "gpt-2", "default"}) {
    for (int round = 0; round < 2000; ++round) {
      std::string text;
      for (size_t n = random() % 12; n > 0; --n) text += parts[random() % std::size(parts)];
      std::string joined;
      for (const std::string& piece : Split(name, text)) joined += piece;
      ASSERT_EQ(joined, text) << name;
    }
  }
}

}  // namespace
}  // namespace slm::text
