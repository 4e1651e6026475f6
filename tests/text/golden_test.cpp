// What the publishers' tokenizers give for some 330 strings and for WikiText-2, see
// bench/peers/make_tokenizer_goldens.py. Vocabularies are outside the repository: SLM_DATA,
// SLM_MODELS (a folder of GGUF models), SLM_PEER_VOCABS (tiktoken's and mistral-common's files).
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "support/data.h"
#include "text/tokenizer.h"
#include "text/vocab_files.h"

namespace slm::text {
namespace {

using nlohmann::json;

std::optional<std::string> InFolder(const char* variable, const std::string& fallback,
                                    const std::string& name) {
  const char* folder = std::getenv(variable);
  const std::string path = std::string(folder ? folder : fallback) + "/" + name;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path;
}

// Nothing when the vocabulary is not on this machine.
std::optional<VocabFile> FindVocab(const json& golden) {
  const auto peer = [](const std::string& name) { return InFolder("SLM_PEER_VOCABS", ".", name); };
  if (golden.contains("vocab")) {
    const auto path = testing::DataPath("vocab/" + golden["vocab"].get<std::string>());
    if (path) return ReadGgufVocab(*path);
  } else if (golden.contains("model")) {
    const auto path = InFolder("SLM_MODELS", "../models", golden["model"]);
    if (path) return ReadGgufVocab(*path);
  } else if (golden.contains("tiktoken")) {
    const auto path = peer(golden["tiktoken"]);
    if (path) return ReadTiktoken(*path, golden["pre"]);
  } else if (const auto path = peer(golden.at("tekken"))) {
    return ReadTekken(*path);
  }
  return std::nullopt;
}

class GoldenTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTest, AgreesWithThePublisher) {
  const json golden = json::parse(testing::ReadFile(GoldenPath(GetParam())));
  const std::optional<VocabFile> file = FindVocab(golden);
  if (!file) GTEST_SKIP() << "skipped: no vocabulary for " << GetParam();
  const Tokenizer tokenizer(file->vocab);
  const EncodeOptions options{.add_special = false, .parse_special = golden["parse_special"]};

  const std::vector<std::string> strings = GoldenStrings();
  ASSERT_EQ(golden["ids"].size(), strings.size());
  for (size_t i = 0; i < strings.size(); ++i) {
    const std::vector<int32_t> want = golden["ids"][i];
    EXPECT_EQ(tokenizer.Encode(strings[i], options), want) << json(strings[i]).dump();
    // The second time, pieces come from what was remembered of the first.
    EXPECT_EQ(tokenizer.Encode(strings[i], options), want) << json(strings[i]).dump();
  }

  const auto text = testing::DataPath("text/wikitext-2-raw-test.txt");
  if (!text) GTEST_SKIP() << "skipped in part: no WikiText-2";
  const std::string wikitext = testing::ReadFile(*text);
  const std::vector<int32_t> ids = tokenizer.Encode(wikitext, options);
  EXPECT_EQ(ids.size(), golden["wikitext"]["tokens"].get<size_t>());
  EXPECT_EQ(Fnv1a(ids), golden["wikitext"]["fnv1a"].get<std::string>());
  if (file->vocab.pre == "qwen2") {
    const std::string decoded = tokenizer.Decode(ids);  // NFC of the text
    EXPECT_EQ(tokenizer.Encode(decoded), ids);
  } else {
    EXPECT_EQ(tokenizer.Decode(ids), wikitext);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTest,
                         ::testing::Values("gpt-2", "llama-bpe", "qwen2", "smollm2",
                                           "qwen2.5-coder", "llama-spm", "llama-spm-sentencepiece",
                                           "phi-3", "gemma-3", "gemma-3-sentencepiece", "cl100k",
                                           "o200k", "tekken"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
                           return name;
                         });

std::vector<std::string> EndTexts(const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  for (const int32_t id : tokenizer.end_of_generation())
    texts.emplace_back(tokenizer.TokenBytes(id));
  return texts;
}

TEST(RealVocabTest, DefaultsAndEnds) {
  struct Row {
    const char* file;
    bool adds_bos, adds_space_prefix;
    std::vector<std::string> ends;
  };
  const Row rows[] = {
      {"llama-bpe", true, false, {"<|end_of_text|>", "<|eot_id|>"}},
      {"gpt-2", false, false, {"<|endoftext|>"}},
      {"qwen2", false, false, {"<|endoftext|>", "<|im_end|>"}},
      {"llama-spm", true, true, {"</s>"}},
      {"phi-3", true, true, {"<|endoftext|>", "<|end|>"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.file);
    SLM_DATA_OR_SKIP(path, std::string("vocab/ggml-vocab-") + row.file + ".gguf");
    const VocabFile file = ReadGgufVocab(path);
    const Tokenizer tokenizer(file.vocab);
    EXPECT_EQ(tokenizer.adds_bos(), row.adds_bos);
    EXPECT_EQ(tokenizer.adds_space_prefix(), row.adds_space_prefix);
    EXPECT_EQ(EndTexts(tokenizer), row.ends);
    for (const int32_t id : tokenizer.end_of_generation()) {
      EXPECT_TRUE(tokenizer.IsEndOfGeneration(id));
      EXPECT_TRUE(tokenizer.IsControl(id));
    }
    EXPECT_FALSE(tokenizer.IsEndOfGeneration(0));
    EXPECT_EQ(tokenizer.eot() >= 0, row.ends.size() > 1);
  }
}

TEST(RealVocabTest, GemmaDoesNotEndAtAnHtmlTag) {
  const auto path = InFolder("SLM_MODELS", "../models", "gemma-3-270m-Q4_K_M.gguf");
  if (!path) GTEST_SKIP() << "skipped: no gemma-3-270m in SLM_MODELS";
  const VocabFile file = ReadGgufVocab(*path);
  const Tokenizer tokenizer(file.vocab);
  EXPECT_EQ(EndTexts(tokenizer), (std::vector<std::string>{"<eos>", "<end_of_turn>"}));
  EXPECT_FALSE(tokenizer.IsControl(tokenizer.Encode("</s>").back()));
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode("a</s>  b\n\n<u>c")), "a</s>  b\n\n<u>c");
}

}  // namespace
}  // namespace slm::text
