// From GGUF to a Hugging Face folder and back: what one direction writes the other reads as it was.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/thread_pool.h"
#include "convert/convert.h"
#include "convert/hf_export.h"
#include "convert/hf_tokenizer.h"
#include "convert/recipe_target.h"
#include "convert/vocab_files.h"
#include "format/gguf.h"
#include "model/vocab.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::convert {
namespace {

using format::GgufFile;
using nlohmann::json;
using testing::TempFolder;

class BothWays : public ::testing::TestWithParam<const char*> {};

TEST_P(BothWays, TensorsAndTokenizer) {
  const TempFolder folder;
  // Without merges, pieces that are tokens skip them, which only this pre-tokenizer says as well.
  const std::string path = folder / "tiny.gguf";
  {
    const GgufFile tiny = GgufFile::Open(testing::WriteTinyModel({.arch = GetParam()}));
    format::GgufWriter writer(path);
    writer.CopyAll(tiny.metadata());
    writer.SetString("tokenizer.ggml.pre", "llama-bpe");
    for (const auto& t : tiny.tensors())
      writer.Declare(t.name, t.type, std::span(t.dims).first(static_cast<size_t>(t.num_dims)));
    for (const auto& t : tiny.tensors()) writer.Append(t.data);
    writer.Finish();
  }
  HfExportOptions options;
  options.input = path;
  options.folder = folder / "hf";
  options.threads = 2;
  options.notice = [](const std::string&) {};
  ExportHf(options);
  ThreadPool pool(2);
  ConvertToGguf({.folder = folder / "hf", .output = folder / "again.gguf"}, RecipeTarget("F32"),
                &pool, nullptr);
  const GgufFile before = GgufFile::Open(path), after = GgufFile::Open(folder / "again.gguf");
  ASSERT_EQ(after.tensors().size(), before.tensors().size());
  for (const auto& tensor : before.tensors()) {
    const auto& other = after.Get(tensor.name);
    EXPECT_EQ(other.dims, tensor.dims) << tensor.name;
    const bool is_norm = tensor.name.find("norm") != std::string::npos;
    if (is_norm && std::string(GetParam()).starts_with("gemma")) continue;  // less one, plus one
    EXPECT_TRUE(
        std::equal(other.data.begin(), other.data.end(), tensor.data.begin(), tensor.data.end()))
        << tensor.name;
  }
  EXPECT_EQ(after.metadata().GetStrings("tokenizer.ggml.tokens"),
            before.metadata().GetStrings("tokenizer.ggml.tokens"));
  EXPECT_EQ(after.metadata().GetInts("tokenizer.ggml.token_type"),
            before.metadata().GetInts("tokenizer.ggml.token_type"));
  EXPECT_EQ(after.metadata().GetString("tokenizer.ggml.pre"), "llama-bpe");
  EXPECT_EQ(after.metadata().GetString("tokenizer.chat_template"),
            before.metadata().GetString("tokenizer.chat_template"));
}

INSTANTIATE_TEST_SUITE_P(Families, BothWays, ::testing::Values("llama", "gemma2", "mistral3"),
                         [](const auto& test) { return std::string(test.param); });

class VocabBothWays : public ::testing::TestWithParam<const char*> {};

TEST_P(VocabBothWays, SameIds) {
  const std::string name = GetParam();
  SLM_DATA_OR_SKIP(path, "vocab/ggml-vocab-" + name + ".gguf");
  const GgufFile file = GgufFile::Open(path);
  const TempFolder folder;
  for (const TextFile& text : MakeHfTokenizer(file, [](const std::string&) {}))
    testing::WriteFile(folder / text.name, text.content);
  const size_t size = file.metadata().GetStrings("tokenizer.ggml.tokens").size();
  testing::WriteFile(folder / "config.json", json{{"vocab_size", size}}.dump());
  const HfVocab vocab = ReadHfVocab(folder.path(), Config::Read(folder / "config.json"));
  format::GgufWriter writer(folder / "again.gguf");
  WriteVocab(vocab, &writer);
  writer.Finish();
  const text::Tokenizer tokenizer = model::MakeTokenizer(GgufFile::Open(folder / "again.gguf"));
  const auto golden = [](const std::string& which) {
    return json::parse(testing::ReadFile("tests/golden/tokenizers/" + which + ".json"));
  };
  const json ids = golden(name)["ids"];
  const std::vector<std::string> strings = golden("strings")["strings"];
  for (size_t i = 0; i < strings.size(); ++i)
    EXPECT_EQ(tokenizer.Encode(strings[i], {.parse_special = true}),
              ids[i].get<std::vector<int32_t>>())
        << json(strings[i]).dump();
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, VocabBothWays,
                         ::testing::Values("gpt-2", "llama-bpe", "qwen2", "llama-spm", "phi-3"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace slm::convert
