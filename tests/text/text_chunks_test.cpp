#include "text/text_chunks.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/vocab_files.h"

namespace slm::text {
namespace {

using Ids = std::vector<int32_t>;

// A token a byte; <bos> is 256.
Tokenizer ByteTokenizer(bool adds_bos) {
  std::vector<std::string> tokens = ByteTokens();
  tokens.push_back("<bos>");
  std::vector<TokenType> types(256, TokenType::kNormal);
  types.push_back(TokenType::kControl);
  VocabFile file = MakeVocab("gpt2", "gpt-2", tokens, types);
  file.vocab.bos = 256;
  file.vocab.add_bos = adds_bos;
  return Tokenizer(file.vocab);
}

Ids InputOf(const TextChunks& chunks, int64_t chunk) { return chunks.Input(chunk); }

Ids IdsOf(const TextChunks& chunks, int64_t chunk) {
  const std::span<const int32_t> ids = chunks.Ids(chunk);
  return {ids.begin(), ids.end()};
}

TEST(TextChunksTest, CutsTheWholeText) {
  const Tokenizer tokenizer = ByteTokenizer(false);
  const TextChunks chunks(tokenizer, "abcdefghijklmn", {.size = 4});
  EXPECT_EQ(chunks.count(), 3);  // the rest is no chunk
  EXPECT_EQ(chunks.scored(), 1);
  EXPECT_EQ(IdsOf(chunks, 2), (Ids{'i', 'j', 'k', 'l'}));
  EXPECT_EQ(InputOf(chunks, 2), IdsOf(chunks, 2));
  EXPECT_EQ(TextChunks(tokenizer, "abcdefghij", {.size = 5}).scored(), 2);
}

TEST(TextChunksTest, BosTakesTheFirstPlaceOfEveryChunk) {
  const Tokenizer tokenizer = ByteTokenizer(true);
  const TextChunks chunks(tokenizer, "abcdefghijk", {.size = 4});
  EXPECT_EQ(chunks.count(), 3);  // of 12 tokens: the text begins with BOS
  EXPECT_EQ(IdsOf(chunks, 0), (Ids{256, 'a', 'b', 'c'}));
  EXPECT_EQ(InputOf(chunks, 0), (Ids{256, 'a', 'b', 'c'}));
  EXPECT_EQ(IdsOf(chunks, 1), (Ids{'d', 'e', 'f', 'g'}));
  EXPECT_EQ(InputOf(chunks, 1), (Ids{256, 'e', 'f', 'g'}));
  const TextChunks again(tokenizer, chunks.ids(), 4);
  EXPECT_EQ(again.count(), 3);
  EXPECT_EQ(InputOf(again, 1), InputOf(chunks, 1));
}

TEST(TextChunksTest, APartOfTheText) {
  const Tokenizer tokenizer = ByteTokenizer(false);
  const TextChunks chunks(tokenizer, "abcdefghijklmnop", {.size = 4, .first = 1, .count = 2});
  EXPECT_EQ(chunks.count(), 2);
  EXPECT_EQ(IdsOf(chunks, 0), (Ids{'e', 'f', 'g', 'h'}));
  EXPECT_EQ(TextChunks(tokenizer, "abcdefghijklmnop", {.size = 4, .first = 3}).count(), 1);
}

TEST(TextChunksTest, WhatIsNotThere) {
  const Tokenizer tokenizer = ByteTokenizer(false);
  const auto code = [&](std::string_view text, const ChunkOptions& options) {
    try {
      TextChunks(tokenizer, text, options);
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kFailed;
  };
  EXPECT_EQ(code("abcdefg", {.size = 4}), Code::kBadInput);
  EXPECT_EQ(code("abcdefgh", {.size = 4, .count = 3}), Code::kBadInput);
  EXPECT_EQ(code("abcdefgh", {.size = 4, .first = 2}), Code::kBadInput);
  EXPECT_EQ(code("abcdefgh", {.size = 4, .first = INT64_MAX}), Code::kBadInput);
  EXPECT_EQ(code("abcdefgh", {.size = 3}), Code::kUsage);
  EXPECT_EQ(code("abcdefgh", {.size = 4, .first = -1}), Code::kUsage);
  EXPECT_EQ(code("abcdefgh", {.size = 4, .count = 0}), Code::kUsage);
  EXPECT_EQ(code("abcdefgh", {.size = 4, .count = -2}), Code::kUsage);
}

}  // namespace
}  // namespace slm::text
