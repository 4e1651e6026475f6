// Names, model cards and sampling defaults. The expected names are those of gguf.Metadata (gguf
// 0.17, get_model_id_components, id_to_title) and gguf.size_label.
#include <gtest/gtest.h>

#include "convert/model_card.h"
#include "convert/model_name.h"

namespace slm::convert {
namespace {

TEST(ModelNameTest, PartsAreThoseOfTheReference) {
  const struct {
    const char* id;
    double parameters;
    const char *organization, *basename, *finetune, *version, *size, *title;
  } kCases[] = {
      {"Qwen/Qwen2.5-Coder-0.5B-Instruct", 494e6, "Qwen", "Qwen2.5-Coder", "Instruct", "", "0.5B",
       "Qwen2.5 Coder 0.5B Instruct"},
      {"HuggingFaceTB/smollm2-135M-8k-lc100k-mix1-ep2", 135e6, "HuggingFaceTB", "smollm2",
       "8k-lc100k-mix1-ep2", "", "135M", "Smollm2 135M 8k Lc100K Mix1 Ep2"},
      {"google/gemma-3-270m", 268e6, "google", "gemma-3", "", "", "270M", "Gemma 3 270m"},
      {"meta-llama/Llama-3.2-1B-Instruct", 1236e6, "meta-llama", "Llama-3.2", "Instruct", "", "1B",
       "Llama 3.2 1B Instruct"},
      {"microsoft/Phi-3.5-mini-instruct", 3.8e9, "microsoft", "Phi-3.5", "instruct", "", "mini",
       "Phi 3.5 Mini Instruct"},
      {"mistralai/Mistral-7B-Instruct-v0.3", 7.2e9, "mistralai", "Mistral", "Instruct", "v0.3",
       "7B", "Mistral 7B Instruct v0.3"},
      {"Ministral-3-14B-Reasoning-2512", 14e9, "", "Ministral-3", "Reasoning", "2512", "14B",
       "Ministral 3 14B Reasoning 2512"},
      {"phi-4", 14e9, "", "phi", "", "4", "", "Phi 4"},
      {"bloom-7b1", 7.1e9, "", "bloom", "", "", "7.1B", "Bloom 7b1"},
      {"x_1.5b-128k", 1.5e9, "", "x_1.5b", "128k", "", "", "X_1.5B 128k"},
      {"llama", 1e6, "", "", "", "", "", "Llama"},
      {"My own model", 1e6, "", "", "", "", "", "My Own Model"},
      {"-", 1e6, "", "", "", "", "", ""},
      {"", 1e6, "", "", "", "", "", ""},
  };
  for (const auto& test : kCases) {
    const ModelName name = ParseModelName(test.id, static_cast<int64_t>(test.parameters));
    EXPECT_EQ(name.organization, test.organization) << test.id;
    EXPECT_EQ(name.basename, test.basename) << test.id;
    EXPECT_EQ(name.finetune, test.finetune) << test.id;
    EXPECT_EQ(name.version, test.version) << test.id;
    EXPECT_EQ(name.size_label, test.size) << test.id;
    EXPECT_EQ(TitleOf(name.full), test.title) << test.id;
  }
}

TEST(ModelNameTest, LongNamesAreNoNames) {
  for (const std::string& part : {std::string(400'000, '1'), std::string(200, '1')}) {
    EXPECT_EQ(ParseModelName("a-" + part, 1).size_label, "");
    EXPECT_EQ(TitleOf("v" + part), "V" + part);
  }
}

TEST(ModelNameTest, SizeLabelsHaveTwoDigits) {
  EXPECT_EQ(SizeLabel(169'000), "169K");
  EXPECT_EQ(SizeLabel(1234), "1.2K");
  EXPECT_EQ(SizeLabel(1'000'000'000), "1000M");
  EXPECT_EQ(SizeLabel(1'200'000'000), "1.2B");
  EXPECT_EQ(SizeLabel(14'700'000'000), "15B");
  EXPECT_EQ(SizeLabel(999), "1.0K");
}

TEST(ModelCardTest, ReadsTheFormsThatCardsUse) {
  const ModelCard card = ParseModelCard(
      "---\nlicense: apache-2.0  # why not\r\nlanguage:\n- en\n  - \"no\"\ntags: [a, 'b c', d]\n"
      "base_model: \"org/name-1B\"\nmodel-index:\n- name: x\n  results: []\nwidget:\n  text: y\n"
      "description: |\n  long\nempty:\n---\n# Title\nlicense: other\n");
  EXPECT_EQ(card.at("license"), std::vector<std::string>{"apache-2.0"});
  EXPECT_EQ(card.at("language"), (std::vector<std::string>{"en", "no"}));
  EXPECT_EQ(card.at("tags"), (std::vector<std::string>{"a", "b c", "d"}));
  EXPECT_EQ(card.at("base_model"), std::vector<std::string>{"org/name-1B"});
  EXPECT_TRUE(card.at("model-index").empty());
  EXPECT_TRUE(card.at("widget").empty());
  EXPECT_TRUE(card.at("description").empty());
  EXPECT_TRUE(card.at("empty").empty());
}

TEST(ModelCardTest, OtherReadmesSayNothing) {
  EXPECT_TRUE(ParseModelCard("# Title\nlicense: mit\n").empty());
  EXPECT_TRUE(ParseModelCard("---\nlicense: mit\n").empty());
  EXPECT_TRUE(ParseModelCard("---").empty());
  EXPECT_TRUE(ParseModelCard("").empty());
}

}  // namespace
}  // namespace slm::convert
