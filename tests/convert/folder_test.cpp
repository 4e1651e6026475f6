// What the small files of a folder say beside the vocabulary: ends, templates, names, sampling.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/thread_pool.h"
#include "convert/convert.h"
#include "convert/recipe_target.h"
#include "convert/tiny_checkpoint.h"
#include "convert/vocab_files.h"
#include "format/gguf.h"
#include "model/vocab.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::convert {
namespace {

using nlohmann::json;

constexpr size_t kVocab = 664;  // 656 tokens, two special ones, those that a test adds, padding

// The small byte-level BPE of the goldens.
class FolderTest : public ::testing::Test {
 protected:
  FolderTest()
      : tokenizer_(
            json::parse(testing::ReadFile("tests/golden/hf_tokenizers/llama-bpe/tokenizer.json"))) {
  }

  int AddToken(const char* text, bool is_special = true) {
    tokenizer_["added_tokens"].push_back(
        {{"id", next_}, {"content", text}, {"special", is_special}});
    return next_++;
  }

  void Write(const std::string& name, const std::string& text) {
    testing::WriteFile(temp_ / (folder_ + "/" + name), text);
  }

  HfVocab Read(const json& config = json::object()) {
    Write("tokenizer.json", tokenizer_.dump());
    json whole = config;
    whole["vocab_size"] = kVocab;
    return ReadHfVocab(temp_ / folder_, Config("config.json", whole));
  }

  // The whole folder, with weights.
  format::GgufFile Convert(TinyCheckpoint checkpoint = TinyLlama(),
                           const std::string& name = "model.safetensors") {
    checkpoint.config["vocab_size"] = kVocab;
    for (const char* matrix :
         {"model.embed_tokens.weight", "lm_head.weight", "tok_embeddings.weight", "output.weight"})
      if (checkpoint.tensors.contains(matrix))
        checkpoint.tensors[matrix] = FloatTensor({kVocab, 32}, std::vector<float>(kVocab * 32));
    checkpoint.Write(temp_ / folder_, name);
    Write("tokenizer.json", tokenizer_.dump());
    ThreadPool pool(1);
    notices_ = ConvertToGguf({.folder = temp_ / folder_, .output = temp_ / "out.gguf"},
                             RecipeTarget("F16"), &pool, nullptr);
    return format::GgufFile::Open(temp_ / "out.gguf");
  }

  bool HasNotice(const std::vector<std::string>& notices, const std::string& part) {
    return std::any_of(notices.begin(), notices.end(), [&](const std::string& notice) {
      return notice.find(part) != std::string::npos;
    });
  }

  testing::TempFolder temp_;
  std::string folder_ = "model";
  json tokenizer_;
  int next_ = 658;
  std::vector<std::string> notices_;
};

TEST_F(FolderTest, TheFirstOfSeveralEndsIsTheEos) {
  const int end = AddToken("<|end_of_text|>"), other = AddToken("<|eot_id|>");
  const HfVocab vocab = Read({{"eos_token_id", {end, other}}});
  EXPECT_EQ(vocab.eos, end);
  EXPECT_EQ(vocab.eot, -1);  // runtimes know it by its name
  EXPECT_TRUE(vocab.notices.empty());
  Write("tokenizer_config.json", R"({"eos_token": "<|eot_id|>"})");
  EXPECT_EQ(Read({{"eos_token_id", {end, other}}}).eos, other);
}

TEST_F(FolderTest, AnEndThatRuntimesDoNotKnow) {
  const int eos = AddToken("<|end_of_text|>"), own = AddToken("<stop>"), second = AddToken("<off>"),
            third = AddToken("<out>");
  Write("generation_config.json", json{{"eos_token_id", {eos, own}}}.dump());
  const HfVocab vocab = Read({{"eos_token_id", eos}});
  EXPECT_EQ(vocab.eot, own);
  EXPECT_TRUE(vocab.notices.empty());
  const auto file = Convert();
  EXPECT_EQ(file.metadata().GetInt("tokenizer.ggml.eot_token_id"), own);
  const std::vector<int32_t> ends = model::MakeTokenizer(file).end_of_generation();
  EXPECT_NE(std::find(ends.begin(), ends.end(), own), ends.end());

  Write("generation_config.json", json{{"eos_token_id", {eos, own, second, third}}}.dump());
  const HfVocab more = Read({{"eos_token_id", eos}});
  EXPECT_EQ(more.eot, own);
  EXPECT_EQ(more.eom, second);
  ASSERT_EQ(more.notices.size(), 1u);
  EXPECT_TRUE(HasNotice(more.notices, "'<out>' ends an answer"));

  AddToken("<|im_end|>");  // known, and the EOT
  const HfVocab named = Read({{"eos_token_id", {eos, own}}});
  EXPECT_EQ(named.eot, -1);
  EXPECT_EQ(named.eom, own);
}

TEST_F(FolderTest, TheFileOfATemplateComesFirst) {
  Write("tokenizer_config.json", R"({"chat_template": "old"})");
  EXPECT_EQ(Read().chat_template, "old");
  Write("chat_template.jinja", "new");
  const HfVocab vocab = Read();
  EXPECT_EQ(vocab.chat_template, "new");
  EXPECT_TRUE(HasNotice(vocab.notices, "chat_template.jinja and tokenizer_config.json differ"));
  Write("chat_template.jinja", "old");
  EXPECT_TRUE(Read().notices.empty());
  Write("chat_template.jinja", "\xff");
  EXPECT_THROW(Read(), Error);
}

TEST_F(FolderTest, NamesOfTemplates) {
  Write("tokenizer_config.json",
        R"({"chat_template": [{"name": "default", "template": "d"}, {"name": "tool-use",
            "template": "1"}, {"name": "tool.use", "template": "2"}, {"name": "rag",
            "template": "3"}]})");
  const HfVocab vocab = Read();
  EXPECT_EQ(vocab.chat_template, "d");
  EXPECT_EQ(vocab.more_templates,
            (std::map<std::string, std::string>{{"rag", "3"}, {"tool_use", "2"}}));
  EXPECT_EQ(Convert().metadata().GetStrings("tokenizer.chat_templates"),
            (std::vector<std::string_view>{"rag", "tool_use"}));
}

TEST_F(FolderTest, ATemplateThatIsMissingIsSaid) {
  Convert();
  EXPECT_TRUE(HasNotice(notices_, "the folder has no chat template"));
  Write("chat_template.jinja", "x");
  Convert();
  EXPECT_TRUE(notices_.empty()) << notices_[0];
}

TEST_F(FolderTest, MistralsFormGetsThePublishedTemplate) {
  const json tekken =
      json::parse(testing::ReadFile("tests/golden/hf_tokenizers/tekken/tokenizer.json"));
  for (const char* key : {"pre_tokenizer", "normalizer"}) tokenizer_[key] = tekken[key];
  folder_ = "Mistral-Nemo-Instruct-2407";
  const auto file = Convert(MistralNative(), "consolidated.safetensors");
  EXPECT_TRUE(HasNotice(notices_, "the published one of Mistral-Nemo-Instruct-2407"));
  EXPECT_TRUE(file.metadata().Has("tokenizer.chat_template"));
}

TEST_F(FolderTest, TokensWithoutARowAreSaidOnce) {
  next_ = kVocab + 4;
  AddToken("<image>");
  Write("tokenizer_config.json",
        json{{"added_tokens_decoder", {{std::to_string(kVocab + 4), {{"content", "<image>"}}}}}}
            .dump());
  EXPECT_EQ(Read().notices.size(), 1u);

  // Three files may list it beside a SentencePiece model.
  const std::string spm =
      testing::ReadFile("tests/golden/hf_tokenizers/spm_prefix/tokenizer.model");
  Write("tokenizer.model", spm);
  next_ = 1000;
  tokenizer_["added_tokens"] = json::array();
  AddToken("<image>");
  Write("added_tokens.json", R"({"<image>": 1000})");
  Write("tokenizer_config.json", R"({"added_tokens_decoder": {"1000": {"content": "<image>"}}})");
  Write("tokenizer.json", tokenizer_.dump());
  const HfVocab vocab =
      ReadHfVocab(temp_ / folder_, Config("config.json", json{{"vocab_size", 1000}}));
  EXPECT_EQ(vocab.notices.size(), 1u);
  EXPECT_TRUE(HasNotice(vocab.notices, "'<image>' has no row"));
}

TEST_F(FolderTest, TokenizerConfigSaysWhetherTextGetsASpace) {
  Write("tokenizer.model",
        testing::ReadFile("tests/golden/hf_tokenizers/spm_prefix/tokenizer.model"));
  const auto read = [&] {
    return ReadHfVocab(temp_ / folder_, Config("config.json", json{{"vocab_size", 1000}}));
  };
  EXPECT_EQ(read().add_space_prefix.value_or(true), true);
  Write("tokenizer_config.json", R"({"add_prefix_space": false})");
  EXPECT_EQ(read().add_space_prefix, false);
}

TEST_F(FolderTest, SequencesOfOneNormalizerOrNone) {
  const json qwen =
      json::parse(testing::ReadFile("tests/golden/hf_tokenizers/qwen2/tokenizer.json"));
  tokenizer_["pre_tokenizer"] = qwen["pre_tokenizer"];
  tokenizer_["model"]["ignore_merges"] = false;
  const auto pre = [&](json normalizer) {
    tokenizer_["normalizer"] = std::move(normalizer);
    return Read().pre;
  };
  EXPECT_EQ(pre({{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}}), "qwen2");
  // DeepSeek's distillations of Qwen.
  EXPECT_EQ(pre({{"type", "Sequence"}, {"normalizers", json::array()}}), "deepseek-r1-qwen");
  EXPECT_EQ(pre(nullptr), "deepseek-r1-qwen");
  EXPECT_THROW(pre({{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "NFC"}}}}}),
               Error);
  const text::Tokenizer plain(ViewOf([&] {
    tokenizer_["normalizer"] = nullptr;
    return Read();
  }()));
  EXPECT_NE(plain.Encode("e\xcc\x81"), plain.Encode("\xc3\xa9"));  // NFC would make them one
}

TEST_F(FolderTest, SamplingDefaults) {
  Write("generation_config.json", R"({"top_k": -1, "repetition_penalty": 1.25, "top_p": 0.5})");
  const auto file = Convert();
  EXPECT_FALSE(file.metadata().Has("general.sampling.top_k"));
  EXPECT_EQ(file.metadata().GetFloat("general.sampling.penalty_repeat"), 1.25f);
  EXPECT_EQ(file.metadata().GetFloat("general.sampling.top_p"), 0.5f);
  EXPECT_TRUE(HasNotice(notices_, "top_k: -1 is left out"));
}

TEST_F(FolderTest, ASnapshotOfTheHubsCacheHasItsName) {
  folder_ = "models--some-org--Tiny-24K-Instruct/snapshots/0123456789abcdef";
  const auto file = Convert();
  EXPECT_EQ(file.metadata().GetString("general.name"), "Tiny 24K Instruct");
  EXPECT_EQ(file.metadata().GetString("general.organization"), "some-org");
}

TEST_F(FolderTest, CardsWithListsAndWithBrokenText) {
  Write("README.md", "---\nlicense:\n- mit\n- apache-2.0\ntags:\n- a\n- \xff\nname: \xfe\n---\n");
  const auto file = Convert();
  EXPECT_EQ(file.metadata().GetString("general.license"), "mit,apache-2.0");
  EXPECT_EQ(file.metadata().GetStrings("general.tags"), (std::vector<std::string_view>{"a"}));
  EXPECT_EQ(file.metadata().GetString("general.name"), "Model");
}

TEST_F(FolderTest, AModelThatIsThereTwiceIsRefused) {
  const auto problem = [&] {
    try {
      Convert();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadInput);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(problem(), "");
  Write("model-00001-of-00002.safetensors", "");
  EXPECT_NE(problem().find("got both model.safetensors and model-00001-of-00002.safetensors"),
            std::string::npos);
  Write("model.safetensors.index.json",
        R"({"weight_map": {"x": "model-00001-of-00002.safetensors"}})");
  testing::WriteFile(temp_ / "shard", SafetensorsBytes({{"x", FloatTensor({1}, {0})}}));
  std::filesystem::copy_file(temp_ / "shard", temp_ / "model/model-00001-of-00002.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_NE(problem().find("model.safetensors and model.safetensors.index.json"),
            std::string::npos);
}

}  // namespace
}  // namespace slm::convert
