// The chat endpoint without HTTP: what it answers, and what it refuses.
#include "serve/chat_api.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "serve/tiny_server.h"

namespace slm::serve {
namespace {

using nlohmann::json;

const auto kNever = [] { return false; };

class ChatApiTest : public ::testing::Test {
 protected:
  std::string Complete(const std::string& body) { return api_.Complete(*api_.Parse(body), kNever); }
  json Chat(const json& more = json::object()) {
    json body = {{"messages", {{{"role", "user"}, {"content", "hi"}}}},
                 {"temperature", 0},
                 {"max_tokens", 12}};
    body.update(more);
    return json::parse(Complete(body.dump()));
  }

  testing::TinyServer tiny_;
  ChatApi api_{tiny_.served()};
};

TEST_F(ChatApiTest, AnswersInTheShapeOfTheApi) {
  const json answer = Chat();
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["model"], "tiny");
  const json& choice = answer["choices"].at(0);
  EXPECT_EQ(choice["index"], 0);
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_TRUE(choice["message"]["content"].is_string());
  EXPECT_TRUE(choice["finish_reason"] == "stop" || choice["finish_reason"] == "length");
  const json& usage = answer["usage"];
  // <|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n: 2 and 1 control tokens, 8 and 10
  // bytes.
  EXPECT_EQ(usage["prompt_tokens"], 21);
  EXPECT_LE(usage["completion_tokens"], 12);
  EXPECT_EQ(usage["total_tokens"], 21 + usage["completion_tokens"].get<int>());
}

TEST_F(ChatApiTest, TheSameRequestGivesTheSameAnswerAndReusesThePrompt) {
  const json first = Chat({{"temperature", 1.5}, {"seed", 3}});
  const json second = Chat({{"temperature", 1.5}, {"seed", 3}});
  EXPECT_EQ(first["choices"], second["choices"]);
  EXPECT_EQ(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  EXPECT_EQ(second["usage"]["prompt_tokens_details"]["cached_tokens"], 20);
}

TEST_F(ChatApiTest, StreamsWhatItWouldAnswer) {
  const json whole = Chat();
  const auto request = api_.Parse(
      R"({"messages":[{"role":"user","content":"hi"}],"temperature":0,"max_tokens":12,
          "stream":true,"stream_options":{"include_usage":true}})");
  EXPECT_TRUE(ChatApi::IsStreamed(*request));
  std::vector<json> chunks;
  api_.Stream(
      *request,
      [&](std::string_view chunk) {
        chunks.push_back(json::parse(chunk));  // throws where a character is cut
        return true;
      },
      kNever);
  ASSERT_GE(chunks.size(), 3u);
  EXPECT_EQ(chunks.front()["choices"][0]["delta"]["role"], "assistant");
  std::string text;
  json reason;
  for (const json& chunk : chunks) {
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    EXPECT_EQ(chunk["id"], chunks.front()["id"]);
    if (chunk["choices"].empty()) continue;
    const json& choice = chunk["choices"][0];
    text += choice["delta"].value("content", "");
    if (!choice["finish_reason"].is_null()) reason = choice["finish_reason"];
  }
  EXPECT_EQ(text, whole["choices"][0]["message"]["content"]);
  EXPECT_EQ(reason, whole["choices"][0]["finish_reason"]);
  EXPECT_TRUE(chunks.back()["choices"].empty());
  EXPECT_EQ(chunks.back()["usage"]["prompt_tokens"], 21);
}

TEST_F(ChatApiTest, AClientThatLeavesEndsTheAnswer) {
  const auto request = api_.Parse(
      R"({"messages":[{"role":"user","content":"hi"}],"stream":true,"max_tokens":500,
          "logit_bias":{"257":-100,"259":-100},"seed":1})");
  int chunks = 0;
  api_.Stream(
      *request, [&](std::string_view) { return ++chunks < 3; }, kNever);
  EXPECT_LT(chunks, 8);
}

TEST_F(ChatApiTest, ACancelledAnswerIsNone) {
  // Never the end of the answer: it would come before the cancellation.
  const auto request = api_.Parse(
      R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":500,
          "logit_bias":{"257":-100,"259":-100}})");
  int asked = 0;
  EXPECT_EQ(api_.Complete(*request, [&] { return ++asked > 20; }), "");
  EXPECT_FALSE(api_.Stream(
      *request, [](std::string_view) { return true; }, [] { return true; }));
}

TEST_F(ChatApiTest, StopTextsEndTheAnswer) {
  const std::string text = Chat()["choices"][0]["message"]["content"];
  const json whole = Chat({{"stop", {"no such text in it", ""}}});
  EXPECT_EQ(whole["choices"][0]["message"]["content"], text);
  // A random model writes arbitrary bytes: a bias makes it write one letter.
  const json letters = {{"logit_bias", {{"65", 100}}}, {"stop", "AAA"}};
  const json cut = Chat(letters)["choices"][0];
  EXPECT_EQ(cut["message"]["content"], "");
  EXPECT_EQ(cut["finish_reason"], "stop");
  const json unstopped = Chat({{"logit_bias", {{"65", 100}}}})["choices"][0];
  EXPECT_EQ(unstopped["message"]["content"], "AAAAAAAAAAAA");
}

TEST_F(ChatApiTest, NeutralValuesAndTextParts) {
  const json plain = Chat();
  EXPECT_EQ(Chat({{"response_format", {{"type", "text"}}},
                  {"tool_choice", "auto"},
                  {"logprobs", false},
                  {"n", 1},
                  {"stop", json::array()},
                  {"messages",
                   {{{"role", "user"},
                     {"content",
                      {{{"type", "text"}, {"text", "h"}},
                       {{"type", "text"}, {"text", "i"}}}}}}}})["choices"],
            plain["choices"]);
}

TEST_F(ChatApiTest, RefusesWhatItCannotDo) {
  const std::string messages = R"("messages":[{"role":"user","content":"hi"}])";
  const std::vector<std::tuple<std::string, Code, const char*>> cases = {
      {"", Code::kBadInput, "JSON"},
      {"{", Code::kBadInput, "JSON"},
      {"[]", Code::kBadInput, "object"},
      {"{}", Code::kBadInput, "messages"},
      {R"({"messages":[]})", Code::kBadInput, "messages"},
      {R"({"messages":"hi"})", Code::kBadInput, "messages"},
      {"{" + messages + R"(,"temperature":"hot"})", Code::kBadInput, "temperature"},
      {"{" + messages + R"(,"top_p":7})", Code::kUsage, "top_p"},
      {"{" + messages + R"(,"max_tokens":-2})", Code::kBadInput, "max_tokens"},
      {"{" + messages + R"(,"max_tokens":1.5})", Code::kBadInput, "max_tokens"},
      {"{" + messages + R"(,"max_tokens":100000})", Code::kBadInput, "100000"},
      {"{" + messages + R"(,"n":2})", Code::kUnsupported, "n is not"},
      {"{" + messages + R"(,"stop":[1]})", Code::kBadInput, "stop"},
      {"{" + messages + R"(,"logit_bias":{"x":1}})", Code::kBadInput, "logit_bias"},
      {"{" + messages + R"(,"logit_bias":[1]})", Code::kBadInput, "logit_bias"},
      {"{" + messages + R"(,"max_tokens":18446744073709551615})", Code::kBadInput, "out of range"},
      {"{" + messages + R"(,"max_tokens":9223372036854775807})", Code::kBadInput, "context"},
      {"{" + messages + R"(,"top_k":4294967296})", Code::kBadInput, "out of range"},
      {R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})", Code::kUnsupported,
       "parts"},
      {R"({"messages":)" + std::string(300000, '[') + std::string(300000, ']') + "}",
       Code::kBadInput, "deep"},
      {"{" + messages + R"(,"response_format":{"type":"json_object"}})", Code::kUnsupported,
       "response_format"},
      {"{" + messages + R"(,"chat_template_kwargs":3})", Code::kBadInput, "chat_template_kwargs"},
      {"{" + messages + R"(,"tools":[{"type":"function","function":{"name":"f"}}]})",
       Code::kUnsupported, "shows no tools to the model"},
  };
  for (const auto& [body, code, part] : cases) {
    try {
      Complete(body);
      ADD_FAILURE() << body;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << body;
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
  EXPECT_EQ(Chat()["object"], "chat.completion");  // and goes on
}

}  // namespace
}  // namespace slm::serve
