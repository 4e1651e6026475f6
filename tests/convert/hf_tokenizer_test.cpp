#include "convert/hf_tokenizer.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "format/gguf_writer.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

// That the ids are the same is checked against the libraries themselves, by
// bench/peers/check_hf_folder.py.
namespace slm::convert {
namespace {

using nlohmann::json;
using testing::TempFolder;

struct Result {
  std::map<std::string, std::string> files;
  std::vector<std::string> notices;

  json Parse(const std::string& name) const { return json::parse(files.at(name)); }
};

Result Make(const std::string& path) {
  Result result;
  const auto file = format::GgufFile::Open(path);
  for (TextFile& text :
       MakeHfTokenizer(file, [&](const std::string& n) { result.notices.push_back(n); }))
    result.files.emplace(text.name, text.content);
  return result;
}

std::string WriteSpm(const std::string& path) {
  const std::vector<std::string> tokens = {"<unk>",
                                           "<s>",
                                           "</s>",
                                           "<0x0A>",
                                           "\u2581",
                                           "a",
                                           "b",
                                           "ab",
                                           "\u2581"
                                           "ab",
                                           "\u2581a",
                                           "<tool>"};
  format::GgufWriter writer(path);
  writer.SetString("general.architecture", "llama");
  writer.SetString("tokenizer.ggml.model", "llama");
  writer.SetStrings("tokenizer.ggml.tokens", std::span(tokens));
  writer.SetArray<float>("tokenizer.ggml.scores",
                         std::vector<float>{0, 0, 0, 0, -9, -8, -7, -1, -2, -3, 0});
  writer.SetArray<int32_t>("tokenizer.ggml.token_type",
                           std::vector<int32_t>{2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 4});
  writer.Set<bool>("tokenizer.ggml.add_eos_token", true);
  writer.Finish();
  return path;
}

TEST(HfTokenizer, ByteLevel) {
  const Result result = Make(testing::WriteTinyModel({.arch = "llama"}));
  EXPECT_TRUE(result.notices.empty());
  EXPECT_EQ(result.files.size(), 4u);
  const json tokenizer = result.Parse("tokenizer.json");
  EXPECT_EQ(tokenizer["model"]["vocab"].size(), 260u);
  EXPECT_EQ(tokenizer["model"]["vocab"]["<|im_end|>"], 259);
  EXPECT_EQ(tokenizer["model"]["byte_fallback"], false);
  EXPECT_EQ(tokenizer["pre_tokenizer"]["type"], "ByteLevel");
  EXPECT_EQ(tokenizer["decoder"]["type"], "ByteLevel");
  EXPECT_TRUE(tokenizer["normalizer"].is_null());
  EXPECT_TRUE(tokenizer["post_processor"].is_null());  // gpt-2 adds no BOS
  ASSERT_EQ(tokenizer["added_tokens"].size(), 4u);
  EXPECT_EQ(tokenizer["added_tokens"][2]["content"], "<|im_start|>");
  EXPECT_EQ(tokenizer["added_tokens"][2]["special"], true);
  const json config = result.Parse("tokenizer_config.json");
  EXPECT_EQ(config["bos_token"], "<s>");
  EXPECT_EQ(config["eos_token"], "</s>");
  EXPECT_EQ(config["model_max_length"], 4096);
  EXPECT_EQ(config["tokenizer_class"], "PreTrainedTokenizerFast");
  EXPECT_EQ(result.files.at("chat_template.jinja").find("{% for m in messages %}"), 0u);
}

TEST(HfTokenizer, SentencePiece) {
  const TempFolder folder;
  const Result result = Make(WriteSpm(folder / "spm.gguf"));
  EXPECT_EQ(result.files.count("chat_template.jinja"), 0u);
  const json tokenizer = result.Parse("tokenizer.json");
  const json& model = tokenizer["model"];
  EXPECT_EQ(model["byte_fallback"], true);
  EXPECT_EQ(model["unk_token"], "<unk>");
  // The best score first; of one token, every cut, by the ids of its parts.
  EXPECT_EQ(model["merges"], json::parse(R"([["a","b"],["▁","ab"],["▁a","b"],["▁","a"]])"));
  EXPECT_EQ(tokenizer["normalizer"]["normalizers"][0]["type"], "Prepend");
  EXPECT_EQ(tokenizer["post_processor"]["single"],
            json::parse(R"([{"SpecialToken":{"id":"<s>","type_id":0}},
                            {"Sequence":{"id":"A","type_id":0}},
                            {"SpecialToken":{"id":"</s>","type_id":0}}])"));
  EXPECT_EQ(tokenizer["post_processor"]["special_tokens"]["</s>"]["ids"], json::parse("[2]"));
  const json& added = tokenizer["added_tokens"];
  ASSERT_EQ(added.size(), 4u);
  EXPECT_EQ(added[3]["content"], "<tool>");
  EXPECT_EQ(added[3]["special"], false);
}

TEST(HfTokenizer, NoVocabulary) {
  const TempFolder folder;
  format::GgufWriter writer(folder / "none.gguf");
  writer.SetString("general.architecture", "llama");
  writer.Finish();
  const Result result = Make(folder / "none.gguf");
  EXPECT_TRUE(result.files.empty());
  EXPECT_EQ(result.notices.size(), 1u);
}

TEST(HfTokenizer, TemplatesWithNames) {
  const TempFolder folder;
  const auto write = [&](const std::string& key) {
    const auto file = format::GgufFile::Open(WriteSpm(folder / "spm.gguf"));
    format::GgufWriter writer(folder / "m.gguf");
    writer.CopyAll(file.metadata());
    writer.SetString("tokenizer.chat_template", "default");
    writer.SetString(key, "other");
    writer.Finish();
    return folder / "m.gguf";
  };
  const Result result = Make(write("tokenizer.chat_template.tool_use"));
  EXPECT_EQ(result.files.at("chat_template.jinja"), "default");
  EXPECT_EQ(result.files.at("additional_chat_templates/tool_use.jinja"), "other");
  EXPECT_THROW(Make(write("tokenizer.chat_template.../../x")), Error);
}

TEST(HfTokenizer, TokensThatAreNotUtf8AreRefused) {
  const TempFolder folder;
  const auto file = format::GgufFile::Open(testing::WriteTinyModel({.arch = "llama"}));
  auto views = file.metadata().GetStrings("tokenizer.ggml.tokens");
  views[258] = "\xff\xfe";
  format::GgufWriter writer(folder / "m.gguf");
  writer.CopyAll(file.metadata());
  writer.SetStrings("tokenizer.ggml.tokens", std::span<const std::string_view>(views));
  writer.Finish();
  EXPECT_THROW(Make(folder / "m.gguf"), Error);
}

}  // namespace
}  // namespace slm::convert
