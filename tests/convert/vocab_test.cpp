// Tokenizers of checkpoints give the publishers' ids (tests/golden/tokenizers). The small ones are
// in tests/golden/hf_tokenizers; the large ones are made by bench/peers/make_hf_vocabs.py and found
// as SLM_HF_VOCABS.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/vocab_files.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "text/tokenizer.h"

namespace slm::convert {
namespace {

using nlohmann::json;

constexpr char kGolden[] = "tests/golden/";

json Golden(const std::string& name) {
  return json::parse(testing::ReadFile(kGolden + ("tokenizers/" + name + ".json")));
}

std::vector<std::string> Strings() { return Golden("strings")["strings"]; }

text::Tokenizer MakeTokenizer(const HfVocab& vocab) { return text::Tokenizer(ViewOf(vocab)); }

HfVocab ReadFolder(const std::string& folder) {
  return ReadHfVocab(folder, Config::Read(folder + "/config.json"));
}

// 64-bit FNV-1a of the ids as little-endian int32, the first eight digits.
std::string Hash(const std::vector<int32_t>& ids) {
  uint64_t h = 0xcbf29ce484222325;
  for (const int32_t id : ids)
    for (int shift = 0; shift < 32; shift += 8)
      h = (h ^ (static_cast<uint32_t>(id) >> shift & 255)) * 0x100000001b3;
  return fmt::format("{:016x}", h).substr(0, 8);
}

class BpeTest : public ::testing::TestWithParam<const char*> {};

TEST_P(BpeTest, SmallVocabularyGivesTheIdsOfTokenizers) {
  const std::string name = GetParam();
  const std::string folder = std::string(kGolden) + "hf_tokenizers/";
  const json whole = json::parse(testing::ReadFile(folder + "llama-bpe/tokenizer.json"));
  json recipe = json::parse(testing::ReadFile(folder + name + "/tokenizer.json"));
  recipe["model"]["vocab"] = whole["model"]["vocab"];
  recipe["model"]["merges"] = whole["model"]["merges"];
  const testing::TempFolder temp;
  testing::WriteFile(temp / "tokenizer.json", recipe.dump());
  testing::WriteFile(temp / "tokenizer_config.json", R"({"bos_token":"<|endoftext|>"})");
  const size_t size = whole["model"]["vocab"].size() + 2;
  testing::WriteFile(temp / "config.json", json{{"vocab_size", size + 6}}.dump());

  const HfVocab vocab = ReadFolder(temp.path());
  EXPECT_EQ(vocab.model, "gpt2");
  EXPECT_EQ(vocab.pre, name);
  EXPECT_EQ(vocab.add_bos, false);
  ASSERT_EQ(vocab.tokens.size(), size + 6);
  EXPECT_EQ(vocab.tokens[size], "[PAD" + std::to_string(size) + "]");
  EXPECT_EQ(vocab.types[size], static_cast<int32_t>(text::TokenType::kUnused));
  EXPECT_EQ(vocab.types[size - 1], static_cast<int32_t>(text::TokenType::kControl));
  EXPECT_EQ(vocab.tokens[static_cast<size_t>(vocab.bos)], "<|endoftext|>");

  const text::Tokenizer tokenizer = MakeTokenizer(vocab);
  const std::vector<std::string> strings = Strings();
  const json golden = Golden("tiny_bpe");
  const json& hashes = golden["hashes"][name];
  ASSERT_EQ(hashes.size(), strings.size());
  for (size_t i = 0; i < strings.size(); ++i)
    EXPECT_EQ(Hash(tokenizer.Encode(strings[i], {.parse_special = true})), hashes[i])
        << json(strings[i]).dump();
}

INSTANTIATE_TEST_SUITE_P(Small, BpeTest,
                         ::testing::Values("llama-bpe", "dbrx", "qwen2", "gpt-4o", "tekken",
                                           "smollm", "gpt-2"));

class SentencePieceTest : public ::testing::TestWithParam<const char*> {};

TEST_P(SentencePieceTest, SmallModelGivesTheIdsOfSentencePiece) {
  const std::string name = GetParam();
  const HfVocab vocab = ReadFolder(kGolden + ("hf_tokenizers/spm_" + name));
  EXPECT_EQ(vocab.model, "llama");
  const text::Tokenizer tokenizer = MakeTokenizer(vocab);
  const std::vector<std::string> strings = Strings();
  const json golden = Golden("tiny_spm");
  const json& hashes = golden["hashes"][name];
  ASSERT_EQ(hashes.size(), strings.size());
  for (size_t i = 0; i < strings.size(); ++i) {
    // docs/tokenizers.md: where SentencePiece and the tokenizers of its publishers differ.
    if (strings[i].find("\xe2\x96\x81") != std::string::npos) continue;
    EXPECT_EQ(Hash(tokenizer.Encode(strings[i])), hashes[i]) << json(strings[i]).dump();
  }
}

INSTANTIATE_TEST_SUITE_P(Small, SentencePieceTest,
                         ::testing::Values("user_defined", "prefix", "prefix_no_extra"));

class PublishedTest : public ::testing::TestWithParam<const char*> {};

TEST_P(PublishedTest, GivesThePublishersIds) {
  const std::string name = GetParam();
  const char* root = std::getenv("SLM_HF_VOCABS");
  const std::string folder = std::string(root ? root : "../hf-vocabs") + "/" + name;
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "skipped: no " << name << " in SLM_HF_VOCABS";
  const HfVocab vocab = ReadFolder(folder);
  const text::Tokenizer tokenizer = MakeTokenizer(vocab);
  const json golden = Golden(name);
  const std::vector<std::string> strings = Strings();
  ASSERT_EQ(golden["ids"].size(), strings.size());
  for (size_t i = 0; i < strings.size(); ++i) {
    const std::vector<int32_t> want = golden["ids"][i];
    EXPECT_EQ(tokenizer.Encode(strings[i], {.parse_special = golden["parse_special"]}), want)
        << json(strings[i]).dump();
  }
}

INSTANTIATE_TEST_SUITE_P(All, PublishedTest,
                         ::testing::Values("gpt-2", "llama-bpe", "qwen2", "smollm2",
                                           "qwen2.5-coder", "llama-spm", "llama-spm-sentencepiece",
                                           "phi-3", "gemma-3", "gemma-3-sentencepiece", "tekken"));

}  // namespace
}  // namespace slm::convert
