// Published templates: every conversation of the goldens, and which model gets which template.
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/data.h"
#include "text/fixed_clock.h"
#include "text/published_templates.h"

namespace slm::text {
namespace {

using nlohmann::ordered_json;

ordered_json Golden(const std::string& name) {
  return ordered_json::parse(testing::ReadFile("tests/golden/templates/" + name + ".json"));
}

// Renders all conversations and compares text by byte, or what was raised.
void ExpectEqualsGolden(const std::string& name, const std::string& source) {
  SCOPED_TRACE(name);
  const ChatTemplate chat(name, source, "<s>", "</s>");
  const ordered_json cases = Golden("cases").at("cases");
  const ordered_json results = Golden(name).at("results");
  ASSERT_EQ(cases.size(), results.size());
  ASSERT_GE(cases.size(), 25U);
  for (size_t i = 0; i < cases.size(); ++i) {
    const ordered_json& input = cases[i];
    const ordered_json& expected = results[i];
    SCOPED_TRACE(input.at("name").get<std::string>());
    try {
      const std::string text = chat.Render(
          input.at("messages"), input.value("tools", ordered_json()),
          input.at("add_generation_prompt"), input.value("kwargs", ordered_json()), FixedOptions());
      ASSERT_EQ(expected.size(), 1U) << "expected " << expected << ", got the text " << text;
      EXPECT_EQ(text, expected[0].get<std::string>());
    } catch (const jinja::RaisedError& error) {
      EXPECT_EQ(expected[0], "raised");
      EXPECT_EQ(error.reason(), expected.back().get<std::string>());
    } catch (const jinja::TemplateError& error) {
      EXPECT_EQ(error.kind(), expected[0].get<std::string>()) << error.what();
      EXPECT_EQ(error.reason(), expected.back().get<std::string>());
    }
  }
}

TEST(ChatTemplate, PublishedTemplatesEqualJinja2) {
  ASSERT_EQ(PublishedTemplates().size(), 12U);
  for (const PublishedTemplate& published : PublishedTemplates()) {
    ExpectEqualsGolden(std::string(published.name), std::string(published.source));
  }
}

// What each shows: tools, calls of them, results.
TEST(ChatTemplate, KnowsWhatIsLeftOutInSilence) {
  const ordered_json user = {{"role", "user"}, {"content", "q"}};
  const ordered_json tools = ordered_json::parse(
      R"([{"type":"function","function":{"name":"f","description":"d","parameters":{}}}])");
  const ordered_json call = ordered_json::parse(
      R"({"role":"assistant","content":"","tool_calls":[{"id":"123456789","type":"function",
          "function":{"name":"f","arguments":"{\"a\": 1}"}}]})");
  const ordered_json result = {
      {"role", "tool"}, {"tool_call_id", "123456789"}, {"name", "f"}, {"content", "r"}};
  std::string shown;
  for (const PublishedTemplate& published : PublishedTemplates()) {
    const ChatTemplate chat(std::string(published.name), std::string(published.source), "<s>",
                            "</s>");
    const auto is_shown = [&](const ordered_json& messages, const ordered_json& given) {
      try {
        chat.CheckTools(messages, given);
        return '1';
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::kUnsupported);
        return '0';
      }
    };
    const auto list = [](auto... messages) { return ordered_json::array({messages...}); };
    shown += std::string(published.name) + " " + is_shown(list(user), tools) +
             is_shown(list(user, call), nullptr) + is_shown(list(user, result), nullptr) + "\n";
    EXPECT_EQ(is_shown(list(user), ordered_json::array()), '1');
    ordered_json empty = call;
    for (const ordered_json& none : {ordered_json(), ordered_json::array()}) {
      empty["tool_calls"] = none;
      EXPECT_EQ(is_shown(list(user, empty), nullptr), '1');
    }
  }
  EXPECT_EQ(shown,
            "Llama-3.1-8B-Instruct 111\n"
            "Llama-3.2-3B-Instruct 111\n"
            "Ministral-3-14B-Reasoning-2512 111\n"
            "Mistral-Nemo-Instruct-2407 111\n"
            "Phi-3.5-mini-instruct 000\n"
            "Phi-4-mini-instruct 001\n"  // tools would have to be in a system message
            "Qwen2.5-7B-Instruct 111\n"
            "Qwen3-0.6B 111\n"
            "SmolLM2-Instruct 001\n"
            "gemma-2-2b-it 000\n"
            "gemma-3-it 000\n"
            "phi-4 000\n");
}

// As DeepSeek's distilled models have it: calls without a list of tools, arguments joined to texts.
TEST(ChatTemplate, GivesArgumentsAsTheTemplateReadsThem) {
  const auto render = [](const char* source, const char* arguments) {
    ordered_json messages = ordered_json::parse(
        R"([{"role":"user","content":"q"},{"role":"assistant","content":"","tool_calls":[
            {"id":"1","type":"function","function":{"name":"f"}}]}])");
    messages[1]["tool_calls"][0]["function"]["arguments"] = ordered_json::parse(arguments);
    return ChatTemplate("t", source, "", "").RenderChat(messages, nullptr, false, nullptr);
  };
  const char* const kJoined =
      "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ '<' + c.function.name + ' ' + "
      "c.function.arguments + '>' }}{% endfor %}{% endfor %}";
  const char* const kAsJson =
      "{% for m in messages %}{% for c in m.tool_calls or [] %}<{{ c.function.name }} "
      "{{ c.function.arguments | tojson }}>{% endfor %}{% endfor %}";
  for (const char* arguments : {R"({"a":1})", R"("{\"a\":1}")"}) {
    EXPECT_EQ(render(kJoined, arguments), R"(<f {"a":1}>)");
    EXPECT_EQ(render(kAsJson, arguments), R"(<f {"a": 1}>)");
  }
}

TEST(ChatTemplate, SmolLM3EqualsJinja2) {
  SLM_DATA_OR_SKIP(path, "templates/HuggingFaceTB-SmolLM3-3B.jinja");
  ExpectEqualsGolden("HuggingFaceTB-SmolLM3-3B", testing::ReadFile(path));
}

// The files of the data folder are those that were built in.
TEST(ChatTemplate, DataFolderHasTheSameTexts) {
  SLM_DATA_OR_SKIP(folder, "templates");
  const std::vector<std::string> makers = {"google-", "meta-llama-", "microsoft-", "mistralai-",
                                           "Qwen-"};
  int found = 0;
  for (const PublishedTemplate& published : PublishedTemplates()) {
    for (const std::string& maker : makers) {
      const std::string path = folder + "/" + maker + std::string(published.name) + ".jinja";
      if (!std::filesystem::exists(path)) continue;
      ++found;
      EXPECT_EQ(testing::ReadFile(path), published.source) << published.name;
    }
  }
  EXPECT_EQ(found, 11);
}

TEST(ChatTemplate, EmptyTokensAreUndefined) {
  const std::string source = "{{ bos_token is defined }}{{ eos_token }}";
  const ordered_json messages = ordered_json::parse(R"([{"role": "user"}])");
  EXPECT_EQ(ChatTemplate("t", source, "", "E").Render(messages, {}, false, {}), "FalseE");
  EXPECT_EQ(ChatTemplate("t", source, "B", "").Render(messages, {}, false, {}), "True");
  EXPECT_EQ(ChatTemplate("t", source, "B", "E").Render(messages, {}, false, {{"eos_token", "X"}}),
            "TrueX");
}

TEST(ChatTemplate, MessagesArePreparedLikeTransformers) {
  const ChatTemplate chat("t", "{{ messages|tojson }}|{{ tools }}|{{ documents }}", "", "");
  const auto messages =
      ordered_json::parse(R"([{"role": "assistant", "content": null, "reasoning": "r", "z": 1}])");
  EXPECT_EQ(chat.Render(messages, {}, false, {{"documents", ordered_json::array({1})}}),
            R"([{"thinking": "r", "role": "assistant", "reasoning": "r", "z": 1, )"
            R"("reasoning_content": "r"}]|None|[1])");
}

TEST(ChatTemplate, RefusesOtherInput) {
  const ChatTemplate chat("t", "x", "", "");
  const ordered_json message = {{"role", "user"}};
  const ordered_json messages = ordered_json::array({message});
  EXPECT_EQ(chat.Render(messages, {}, false, {}), "x");
  EXPECT_THROW(chat.Render(ordered_json::array(), {}, false, {}), Error);
  EXPECT_THROW(chat.Render(message, {}, false, {}), Error);
  EXPECT_THROW(chat.Render(ordered_json::array({1}), {}, false, {}), Error);
  EXPECT_THROW(chat.Render(messages, 5, false, {}), Error);
  EXPECT_THROW(chat.Render(messages, {}, false, ordered_json::array()), Error);
  EXPECT_THROW(chat.Render(messages, {}, false, {{"messages", 1}}), Error);
}

TEST(ChatTemplate, FamilyFallback) {
  struct Row {
    ModelTraits traits;
    std::string expected;  // empty: none
  };
  const Row kRows[] = {
      {{"llama", "Smollm2 135M 8k Lc100K Mix1 Ep2", "smollm2", "smollm"}, "SmolLM2-Instruct"},
      {{"llama", "", "", "smollm"}, "SmolLM2-Instruct"},
      {{"llama", "SmolLM 135M Instruct", "SmolLM", "smollm"}, ""},
      {{"llama", "Llama 3.2 1B Instruct", "Llama-3.2", "llama-bpe"}, "Llama-3.2-3B-Instruct"},
      {{"llama", "Meta Llama 3.1 8B Instruct", "Meta-Llama-3.1", "llama-bpe"},
       "Llama-3.1-8B-Instruct"},
      {{"llama", "", "", "llama-bpe"}, "Llama-3.1-8B-Instruct"},
      {{"llama", "Hermes 3 Llama 3.1 8B", "Hermes-3-Llama-3.1", "llama-bpe"}, ""},
      {{"llama", "llama-30b", "", "default"}, ""},
      {{"llama", "LLaMA v2", "", "default"}, ""},
      {{"llama", "Mistral Nemo Instruct 2407", "Mistral-Nemo", "tekken"},
       "Mistral-Nemo-Instruct-2407"},
      {{"mistral3", "Ministral 3 3B Reasoning 2512", "Ministral-3", "tekken"},
       "Ministral-3-14B-Reasoning-2512"},
      {{"mistral3", "Ministral 3 3B Instruct 2512", "Ministral-3", "tekken"}, ""},
      {{"qwen2", "Qwen2.5 Coder 0.5B Instruct AWQ", "Qwen2.5-Coder", "qwen2"},
       "Qwen2.5-7B-Instruct"},
      {{"qwen2", "Qwen2.5 Math 7B", "Qwen2.5-Math", "qwen2"}, ""},
      {{"qwen2", "Qwen2 7B Instruct", "Qwen2", "qwen2"}, ""},
      {{"qwen2", "DeepSeek R1 Distill Qwen 7B", "DeepSeek-R1-Distill-Qwen", "deepseek-r1-qwen"},
       ""},
      {{"qwen3", "Qwen3 0.6B", "Qwen3", "qwen2"}, "Qwen3-0.6B"},
      {{"qwen3", "Qwen3 4B Instruct 2507", "Qwen3", "qwen2"}, ""},
      {{"phi3", "Phi 3.5 Mini Instruct", "Phi-3.5", "default"}, "Phi-3.5-mini-instruct"},
      {{"phi3", "Phi 4 Mini Instruct", "Phi-4", "gpt-4o"}, "Phi-4-mini-instruct"},
      {{"phi3", "Phi 4", "phi", "dbrx"}, "phi-4"},
      {{"phi3", "Phi 4 Reasoning Plus", "Phi-4", "dbrx"}, ""},
      {{"phi3", "Phi 3 Mini 4k", "Phi-3", "default"}, ""},
      {{"gemma2", "Gemma 2 2b It", "gemma-2", "default"}, "gemma-2-2b-it"},
      {{"gemma3", "Gemma 3 270m", "gemma-3", "default"}, "gemma-3-it"},
      {{"gemma3", "MedThing", "", "default"}, ""},
      {{"gpt2", "", "", "gpt-2"}, ""},
      {{}, ""},
  };
  for (const Row& row : kRows) {
    const auto found = FindPublishedTemplate(row.traits);
    EXPECT_EQ(found ? std::string(found->name) : "", row.expected)
        << row.traits.architecture << " " << row.traits.name;
    EXPECT_TRUE(!found || !found->source.empty());
  }
}

}  // namespace
}  // namespace slm::text
