// The chat endpoint without HTTP: what it answers, and what it refuses.
#include "serve/chat_api.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "serve/tiny_server.h"

namespace slm::serve {
namespace {

using nlohmann::json;

class ChatApiTest : public ::testing::Test {
 protected:
  std::string Complete(const std::string& body) { return api_.Complete(*api_.Parse(body)); }
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
  api_.Stream(*request, [&](std::string_view chunk) {
    chunks.push_back(json::parse(chunk));  // throws where a character is cut
    return true;
  });
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
          "logit_bias":null,"seed":1})");
  int chunks = 0;
  api_.Stream(*request, [&](std::string_view) { return ++chunks < 3; });
  EXPECT_LT(chunks, 8);
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
      {"{" + messages + R"(,"n":2})", Code::kUnsupported, "n above 1"},
      {"{" + messages + R"(,"response_format":{"type":"json_object"}})", Code::kUnsupported,
       "response_format"},
      {"{" + messages + R"(,"chat_template_kwargs":3})", Code::kBadInput, "chat_template_kwargs"},
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
