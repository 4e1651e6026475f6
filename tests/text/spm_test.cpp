#include "text/spm.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/data.h"
#include "text/tokenizer.h"
#include "text/vocab_files.h"

namespace slm::text {
namespace {

using nlohmann::json;

// A model trained by SentencePiece with byte fallback, under three settings of its normalizer.
TEST(SpmTest, AgreesWithSentencePiece) {
  const json golden = json::parse(testing::ReadFile(GoldenPath("tiny_spm")));
  const std::vector<std::string> strings = GoldenStrings();
  for (const auto& [name, hashes] : golden["hashes"].items()) {
    SCOPED_TRACE(name);
    VocabFile file = MakeVocab("llama", "", golden["pieces"]);
    Vocab& vocab = file.vocab;
    vocab.types = golden["types"].get<std::vector<int32_t>>();
    vocab.scores = golden["scores"].get<std::vector<float>>();
    vocab.unk = 0;
    vocab.add_space_prefix = name != "user_defined";
    vocab.remove_extra_whitespaces = name == "prefix_no_extra";
    for (const size_t id : golden["user_defined"]) {
      const bool normal = name != "user_defined";
      vocab.types[id] = static_cast<int32_t>(normal ? TokenType::kNormal : TokenType::kUserDefined);
      vocab.scores[id] = normal ? -10000.0f : 0.0f;
    }
    const Tokenizer tokenizer(vocab);
    for (size_t i = 0; i < strings.size(); ++i) {
      const bool has_space_mark = strings[i].find("\xe2\x96\x81") != std::string::npos;
      // SentencePiece removes extra spaces before it takes U+2581 for one.
      if (name == "prefix_no_extra" && has_space_mark) continue;
      const auto ids = tokenizer.Encode(strings[i]);
      EXPECT_EQ(Fnv1a(ids).substr(0, 8), hashes[i].get<std::string>())
          << json(strings[i]).dump() << ": " << json(ids).dump();
      if (name != "prefix_no_extra" && !has_space_mark) {
        EXPECT_EQ(tokenizer.Decode(ids), strings[i]);
      }
    }
  }
}

VocabFile SmallVocab(bool with_bytes) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<TokenType> types = {TokenType::kUnknown, TokenType::kControl, TokenType::kControl};
  for (int byte = 0; with_bytes && byte < 256; ++byte) {
    tokens.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(TokenType::kByte);
  }
  for (const char* token : {"\xe2\x96\x81", "a", "b", "ab",
                            "\xe2\x96\x81"
                            "a",
                            "b\xe2\x96\x81"
                            "a",
                            "<", "s", ">", "<s"})
    tokens.push_back(token);
  types.resize(tokens.size(), TokenType::kNormal);
  VocabFile file = MakeVocab("llama", "", tokens, types);
  for (size_t i = 0; i < tokens.size(); ++i) file.vocab.scores[i] = -static_cast<float>(i);
  file.vocab.add_bos = false;
  file.vocab.add_space_prefix = false;
  return file;
}

TEST(SpmTest, BytesOrOneUnknown) {
  const VocabFile bytes = SmallVocab(true);
  const Tokenizer with(bytes.vocab);
  EXPECT_EQ(with.Encode("\xc3\xa9"), (std::vector<int32_t>{3 + 0xc3, 3 + 0xa9}));
  EXPECT_EQ(with.Encode("\xff"), (std::vector<int32_t>{3 + 0xff}));
  EXPECT_EQ(with.Decode(with.Encode("ab\xff\xc3\xa9\n")), "ab\xff\xc3\xa9\n");

  const VocabFile plain = SmallVocab(false);
  const Tokenizer without(plain.vocab);
  EXPECT_EQ(without.Encode("xyz"), (std::vector<int32_t>{0}));  // neighbours fuse
  EXPECT_EQ(without.Encode("xax"), (std::vector<int32_t>{0, 4, 0}));
}

TEST(SpmTest, NoCutWhereATokenHasASpaceInside) {
  const VocabFile file = SmallVocab(false);
  const Tokenizer tokenizer(file.vocab);
  // "b a" is one token, with a worse score than "ab" and " a" but the only way from "b", " a".
  EXPECT_EQ(tokenizer.Encode("b a"), tokenizer.Encode("b\xe2\x96\x81"
                                                      "a"));
  EXPECT_EQ(tokenizer.Encode("b a"), (std::vector<int32_t>{8}));
  EXPECT_EQ(tokenizer.Encode("a a"), (std::vector<int32_t>{4, 7}));
}

TEST(SpmTest, TextNeverBecomesAControlToken) {
  const VocabFile file = SmallVocab(false);
  const Tokenizer tokenizer(file.vocab);
  // "<s" and ">" are tokens and so is "<s>", but that one is control.
  EXPECT_EQ(tokenizer.Encode("<s>"), (std::vector<int32_t>{12, 11}));
  EXPECT_EQ(tokenizer.Encode("<s>", {.parse_special = true}), (std::vector<int32_t>{1}));
}

}  // namespace
}  // namespace slm::text
