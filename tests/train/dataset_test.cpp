// Files of examples, and what becomes of them: conversations, tokens, labels.
#include "format/dataset.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/model.h"
#include "model/vocab.h"
#include "support/temp_folder.h"
#include "text/published_templates.h"
#include "tiny/tiny_model.h"
#include "train/duplicates.h"
#include "train/prepare_data.h"
#include "train/token_data.h"
#include "train/tokenize_example.h"

namespace slm::train {
namespace {

using format::Dataset;
using format::Example;
using format::ReadDataset;
using nlohmann::ordered_json;

// A file in a folder of its own.
class File {
 public:
  explicit File(const std::string& content) { testing::WriteFile(path(), content); }
  std::string path() const { return folder_ / "data.jsonl"; }

 private:
  testing::TempFolder folder_;
};

std::string MessageOf(const std::string& content) {
  const File file(content);
  try {
    ReadDataset(file.path());
  } catch (const Error& error) {
    std::string what = error.what();
    EXPECT_TRUE(what.starts_with(file.path())) << what;
    return what.substr(file.path().size());
  }
  return "";
}

ordered_json Messages(std::initializer_list<std::pair<const char*, const char*>> messages) {
  ordered_json list = ordered_json::array();
  for (const auto& [role, content] : messages)
    list.push_back({{"role", role}, {"content", content}});
  return list;
}

TEST(Dataset, EveryFormBecomesMessages) {
  const ordered_json expected =
      Messages({{"system", "be short"}, {"user", "2+2?\n\nnow"}, {"assistant", "4"}});
  const char* const lines[] = {
      R"({"messages":[{"role":"system","content":"be short"},
          {"role":"user","content":[{"type":"text","text":"2+2?\n\n"},{"type":"text","text":"now"}]},
          {"role":"assistant","content":"4"}]})",
      R"({"system":"be short","conversations":[{"from":"human","value":"2+2?\n\nnow"},
          {"from":"gpt","value":"4"}]})",
      R"({"system":"be short","conversations":[{"role":"user","content":"2+2?\n\nnow"},
          {"role":"assistant","content":"4"}]})",
      R"({"system":"be short","instruction":"2+2?","input":"now","output":"4"})"};
  for (std::string line : lines) {
    std::erase(line, '\n');
    const File file("\xef\xbb\xbf" + line + "\r\n\n" + line);
    const Dataset dataset = ReadDataset(file.path());
    ASSERT_EQ(dataset.examples.size(), 2u);
    EXPECT_EQ(dataset.examples[1].line, 3u);
    EXPECT_EQ(dataset.examples[0].messages, expected) << line;
    const File list("[" + line + "," + line + "]");
    EXPECT_EQ(ReadDataset(list.path()).examples[1].messages, expected);
  }
  const File completion(R"({"prompt":"2+2?","completion":"4"})");
  EXPECT_EQ(ReadDataset(completion.path()).examples[0].messages,
            Messages({{"user", "2+2?"}, {"assistant", "4"}}));
  const File text(R"({"text":"abc"})");
  EXPECT_EQ(ReadDataset(text.path()).examples[0].text, "abc");
}

TEST(Dataset, ToolsAndCallsGoThrough) {
  const File file(
      R"({"conversations":[{"from":"human","value":"w?"},{"from":"function_call",)"
      R"("value":"{\"name\":\"f\",\"arguments\":{\"a\":1}}"},{"from":"observation","value":"r"},)"
      R"({"from":"gpt","value":"ok"}],"tools":"[{\"name\":\"f\"}]"})");
  const Example example = ReadDataset(file.path()).examples[0];
  EXPECT_EQ(example.tools, ordered_json::parse(R"([{"name":"f"}])"));
  EXPECT_EQ(example.messages[1]["tool_calls"][0]["function"]["arguments"]["a"], 1);
  EXPECT_EQ(example.messages[2]["role"], "tool");
}

TEST(Dataset, SaysWhatIsWrongAndWhere) {
  const char* const kGood = R"({"prompt":"a","completion":"b"})";
  const std::pair<std::string, const char*> cases[] = {
      {"", ": no examples"},
      {" \n\n", ": no examples"},
      {"[]", ": no examples"},
      {std::string(kGood) + "\n{\"prompt\":", ":2: not JSON"},
      {std::string(kGood) + "\n7", ":2: expected an object"},
      {std::string(kGood) + "\n{\"text\":\"a\"}", ":2: this line is text, those before it are "},
      {"[\n {\"text\":\"\\\"],[\\n\", \"more\":\n[[], {}]},\n\n 7]", ":5: expected an object"},
      {"[[],\n{}]", ":1: expected an object"},
      {R"({"question":"a"})", ":1: expected messages"},
      {R"({"messages":7})", ":1: messages: expected a list"},
      {R"({"messages":[]})", ":1: no messages"},
      {R"({"messages":[{"role":"bot","content":"a"}]})", ":1: unknown role \"bot\""},
      {R"({"messages":[{"role":"user","content":"a"}]})", ":1: no message of role assistant"},
      {R"({"messages":[{"role":"assistant"}]})", ":1: a message of role assistant has no content"},
      {R"({"messages":[{"role":"assistant","content":7}]})", ":1: content: expected a string"},
      {R"({"messages":[{"role":"user","content":[{"type":"image"}]}]})",
       ":1: messages: only parts"},
      {R"({"messages":[{"role":"assistant","content":"a","weight":2}]})",
       ":1: weight: expected 0 or 1, got 2"},
      {R"({"conversations":[{"from":"alien","value":"a"}]})", ":1: conversations: unknown role"},
      {R"({"conversations":[{"from":"gpt"}]})", ":1: no value"},
      {R"({"instruction":"a"})", ":1: no output"},
      {R"({"text":""})", ":1: text is empty"},
  };
  for (const auto& [content, expected] : cases) {
    const std::string got = content.empty() ? ": no examples" : MessageOf(content);
    EXPECT_TRUE(got.starts_with(expected)) << content << "\n" << got;
  }
}

TEST(TokenData, IsCheckedLineByLine) {
  const auto read = [](const std::string& content) -> std::string {
    const File file(content);
    try {
      const std::vector<Sample> samples = ReadTokenData(file.path(), 100);
      return std::to_string(samples.size());
    } catch (const Error& error) {
      return std::string(error.what()).substr(file.path().size());
    }
  };
  EXPECT_EQ(read(R"({"ids":[1,2,3],"labels":[-100,2,3]})"), "1");
  EXPECT_TRUE(read(R"({"ids":[1,200],"labels":[1,2]})").starts_with(":1: ids: 200 is not"));
  EXPECT_TRUE(read(R"({"ids":[1,-100],"labels":[1,2]})").starts_with(":1: ids: -100 is not"));
  EXPECT_TRUE(read(R"({"ids":[1],"labels":[1,2]})").starts_with(":1: 1 ids and 2 labels"));
  EXPECT_TRUE(read(R"({"ids":[1,2],"labels":[1,-100]})").starts_with(":1: no label is trained"));
  EXPECT_TRUE(read(R"({"ids":[1,1.5],"labels":[1,2]})").starts_with(":1: ids: 1.5 is not"));
  EXPECT_TRUE(read(R"({"labels":[1,2]})").starts_with(":1: ids: expected a list"));
}

class Tokenize : public ::testing::Test {
 protected:
  Tokenize()
      : file_(format::GgufFile::Open(testing::WriteTinyModel({}))),
        tokenizer_(model::MakeTokenizer(file_)),
        template_("test", std::string(file_.metadata().GetString("tokenizer.chat_template")), "<s>",
                  "</s>") {}

  static Example MakeExample(ordered_json messages) {
    Example example;
    example.line = 1;
    example.messages = std::move(messages);
    return example;
  }
  // What is trained, each answer in brackets.
  std::string Trained(const Sample& sample) const {
    std::string text;
    bool was_trained = false;
    for (size_t i = 0; i < sample.ids.size(); ++i) {
      const bool is_trained = sample.labels[i] != kIgnored;
      if (is_trained != was_trained) text += is_trained ? "[" : "]";
      if (is_trained) text += tokenizer_.TokenBytes(sample.ids[i]);
      was_trained = is_trained;
    }
    return was_trained ? text + "]" : text;
  }
  std::vector<TokenizedSample> Run(const ordered_json& messages, int64_t longest = 1000,
                                   const text::ChatTemplate* chat_template = nullptr) const {
    return ExampleTokenizer(tokenizer_, chat_template ? chat_template : &template_, {longest})
        .Tokenize(MakeExample(messages));
  }

  format::GgufFile file_;
  text::Tokenizer tokenizer_;
  text::ChatTemplate template_;
};

TEST_F(Tokenize, AnswersAreTrainedWithTheirEnd) {
  const ordered_json messages = Messages({{"system", "s"},
                                          {"user", "one?"},
                                          {"assistant", "1"},
                                          {"user", "two?"},
                                          {"assistant", "2"}});
  const auto samples = Run(messages);
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(Trained(samples[0].sample), "[1<|im_end|>][2<|im_end|>]");
  // Before each answer stands what the server makes of the messages.
  for (const size_t answer : {2, 4}) {
    const ordered_json before(messages.begin(), messages.begin() + static_cast<long>(answer));
    const auto prompt =
        tokenizer_.Encode(template_.Render(before, nullptr, true, ordered_json::object()),
                          {.add_special = true, .parse_special = true});
    ASSERT_LE(prompt.size(), samples[0].sample.ids.size());
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), samples[0].sample.ids.begin()));
    EXPECT_EQ(samples[0].sample.labels[prompt.size() - 1], kIgnored);
    EXPECT_NE(samples[0].sample.labels[prompt.size()], kIgnored);
  }
}

// Every published template: before each answer stand the ids that the server makes of the messages
// before it, and the answer ends what is trained.
TEST_F(Tokenize, PromptsAreThoseOfTheServerInAllTemplates) {
  const ordered_json user_first = Messages({{"user", "one?"},
                                            {"assistant", "Yes, 1."},
                                            {"user", "two?"},
                                            {"assistant", " 2\n\nand <b>more</b>"}});
  ordered_json system_first = Messages({{"system", "Be brief."}});
  for (const ordered_json& message : user_first) system_first.push_back(message);
  ASSERT_FALSE(text::PublishedTemplates().empty());
  for (const text::PublishedTemplate& published : text::PublishedTemplates()) {
    const text::ChatTemplate chat_template(std::string(published.name),
                                           std::string(published.source), "<s>", "</s>");
    for (const ordered_json& messages : {user_first, system_first}) {
      if (published.name == "gemma-2-2b-it" && messages == system_first) continue;  // it refuses
      const auto prompt_of = [&](size_t count) {
        const ordered_json before(messages.begin(), messages.begin() + static_cast<long>(count));
        return tokenizer_.Encode(
            chat_template.Render(before, nullptr, true, ordered_json::object()),
            {.add_special = true, .parse_special = true});
      };
      size_t answers = 0;
      for (const TokenizedSample& sample : Run(messages, 100000, &chat_template)) {
        const std::vector<int32_t>& ids = sample.sample.ids;
        const std::vector<int32_t>& labels = sample.sample.labels;
        // Where what is trained begins, there ends a prompt.
        for (size_t at = 1; at < ids.size(); ++at) {
          if (labels[at] == kIgnored || labels[at - 1] != kIgnored) continue;
          const std::vector<int32_t> before(ids.begin(), ids.begin() + static_cast<long>(at));
          bool is_served = false;
          for (size_t i = 0; i < messages.size(); ++i) {
            if (messages[i]["role"] != "assistant") continue;
            std::vector<int32_t> prompt = prompt_of(i);
            is_served |= prompt == before;
            // Qwen3 shows an answer without thoughts behind an empty block of them.
            for (const int32_t id : tokenizer_.Encode("<think>\n\n</think>\n\n", {}))
              prompt.push_back(id);
            is_served |= prompt == before;
          }
          EXPECT_TRUE(is_served) << published.name << ": " << tokenizer_.Decode(before, true);
          ++answers;
        }
        EXPECT_NE(labels.back(), kIgnored) << published.name;
      }
      EXPECT_EQ(answers, 2u) << published.name;
    }
  }
}

TEST_F(Tokenize, WeightsLeaveAnswersOut) {
  ordered_json messages =
      Messages({{"user", "one?"}, {"assistant", "1"}, {"user", "two?"}, {"assistant", "2"}});
  messages[1]["weight"] = 0;
  const auto samples = Run(messages);
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(Trained(samples[0].sample), "[2<|im_end|>]");
}

TEST_F(Tokenize, LongSamplesAreCutAndSaidToBe) {
  const auto samples = Run(Messages({{"user", "?"}, {"assistant", "0123456789"}}), 30);
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_TRUE(samples[0].is_cut());
  EXPECT_EQ(samples[0].sample.ids.size(), 30u);
}

TEST_F(Tokenize, WhatATemplateForgetsIsTrainedApart) {
  // Only the last answer keeps its thoughts, as with Qwen3.
  const text::ChatTemplate forgets(
      "forgets",
      "{% for m in messages %}<|im_start|>{{ m.role }}\n"
      "{% if m.role == 'assistant' and not loop.last %}{{ m.content.split('</think>')[-1] }}"
      "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
      "", "");
  const auto samples = Run(Messages({{"user", "a"},
                                     {"assistant", "<think>x</think>A"},
                                     {"user", "b"},
                                     {"assistant", "<think>\n\n</think>\n\nB"}}),
                           1000, &forgets);
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(Trained(samples[0].sample), "[<think>x</think>A<|im_end|>]");
  // And an empty block of thoughts is not trained.
  EXPECT_EQ(Trained(samples[1].sample), "[B<|im_end|>]");
}

TEST_F(Tokenize, PromptsMayOpenWhatTheAnswerDoesNotShow) {
  const text::ChatTemplate opens(
      "opens",
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}",
      "", "");
  const auto samples = Run(Messages({{"user", "a"}, {"assistant", "A"}}), 1000, &opens);
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(Trained(samples[0].sample), "[A<|im_end|>]");
  EXPECT_NE(tokenizer_.Decode(samples[0].sample.ids, true).find("<think>\nA"), std::string::npos);
  // Answers that are in what ends a message too, or in what begins one.
  for (const char* answer : {"d", "im_end", "t", "assistant"}) {
    const auto found = Run(Messages({{"user", "a"}, {"assistant", answer}}), 1000, &opens);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(Trained(found[0].sample), "[" + std::string(answer) + "<|im_end|>]");
  }
}

TEST_F(Tokenize, TextIsTakenInParts) {
  Example example;
  example.text = "0123456789";
  const auto samples = ExampleTokenizer(tokenizer_, nullptr, {5}).Tokenize(example);
  std::vector<int32_t> predicted;
  for (const TokenizedSample& sample : samples) {
    EXPECT_LE(sample.sample.ids.size(), 5u);
    EXPECT_FALSE(sample.is_cut());
    predicted.insert(predicted.end(), sample.sample.labels.begin() + 1, sample.sample.labels.end());
  }
  // All but the very first token, each once, and the end.
  auto expected = tokenizer_.Encode(example.text, {.add_special = true});
  if (expected.back() != tokenizer_.eos()) expected.push_back(tokenizer_.eos());
  expected.erase(expected.begin());
  EXPECT_EQ(predicted, expected);
}

TEST_F(Tokenize, EveryPartOfATextBeginsAsATextDoes) {
  text::Vocab vocab = model::ReadVocab(file_);
  vocab.add_bos = true;
  const text::Tokenizer tokenizer(vocab);
  Example example;
  example.text = "0123456789";
  const auto samples = ExampleTokenizer(tokenizer, nullptr, {5}).Tokenize(example);
  ASSERT_GE(samples.size(), 3u);
  std::vector<int32_t> predicted;
  for (const TokenizedSample& sample : samples) {
    EXPECT_LE(sample.sample.ids.size(), 5u);
    EXPECT_EQ(sample.sample.ids.front(), tokenizer.bos());
    for (size_t i = 1; i < sample.sample.ids.size(); ++i)
      if (sample.sample.labels[i] != kIgnored) predicted.push_back(sample.sample.labels[i]);
  }
  std::vector<int32_t> expected = tokenizer.Encode(example.text, {});
  if (expected.back() != tokenizer.eos()) expected.push_back(tokenizer.eos());
  EXPECT_EQ(predicted, expected);
}

TEST(Duplicates, AreFoundByWhatIsSaidAndNotByTheForm) {
  const std::string form =
      "what is the intent of this message choose one of balance card transfer loan and exchange ";
  std::vector<std::string> texts;
  for (int i = 0; i < 40; ++i)
    texts.push_back(form + "message " + std::to_string(i) + " of " + std::to_string(7 * i));
  texts.push_back(texts[3] + "!");
  std::vector<size_t> expected(40, kNoDuplicate);
  expected.push_back(3);
  EXPECT_EQ(FindDuplicates(texts), expected);
  // Of nothing but form all is said.
  expected.assign(40, 0);
  expected[0] = kNoDuplicate;
  EXPECT_EQ(FindDuplicates(std::vector<std::string>(40, form)), expected);
}

TEST(Duplicates, AreFoundAndOthersAreNot) {
  const std::string text =
      "the quick brown fox jumps over the lazy dog and then it sleeps for a very long time in the "
      "warm afternoon sun";
  const std::vector<std::string> texts = {text,
                                          "something else that is said here",
                                          "The quick, brown fox" + text.substr(19) + "!",
                                          text + " today",
                                          "the quick brown fox",
                                          "",
                                          "",
                                          "something else that is said there now"};
  const std::vector<size_t> first = FindDuplicates(texts);
  EXPECT_EQ(first[0], kNoDuplicate);
  EXPECT_EQ(first[1], kNoDuplicate);
  EXPECT_EQ(first[2], 0u);
  EXPECT_EQ(first[3], 0u);
  EXPECT_EQ(first[4], kNoDuplicate);
  EXPECT_EQ(first[6], 5u);
  EXPECT_EQ(first[7], kNoDuplicate);
}

TEST_F(Tokenize, PreparationSplitsAndFindsLeaks) {
  Dataset dataset;
  for (size_t i = 0; i < 20; ++i) {
    Example example = MakeExample(Messages({{"user", "x"}, {"assistant", "y"}}));
    example.messages[0]["content"] = "question number " + std::to_string(i % 18);
    example.line = i + 1;
    dataset.examples.push_back(example);
  }
  const ExampleTokenizer tokenizer(tokenizer_, &template_, {100});
  const PreparedData all = Prepare(dataset, nullptr, tokenizer, {0, 1, true});
  EXPECT_EQ(all.train.samples.size(), 18u);
  EXPECT_EQ(all.duplicates, (std::vector<size_t>{19, 20}));
  const PreparedData split = Prepare(dataset, nullptr, tokenizer, {0.25, 1, false});
  EXPECT_EQ(split.train.samples.size(), 15u);
  EXPECT_EQ(split.eval.samples.size() + split.leaks.size(), 5u);
  const PreparedData same = Prepare(dataset, &dataset, tokenizer, {0, 1, false});
  EXPECT_EQ(same.leaks.size(), 20u);
  EXPECT_TRUE(same.eval.samples.empty());
  const PreparedData kept = Prepare(dataset, &dataset, tokenizer, {0, 1, false, true});
  EXPECT_EQ(kept.leaks.size(), 20u);
  EXPECT_EQ(kept.eval.samples.size(), 20u);
}

}  // namespace
}  // namespace slm::train
