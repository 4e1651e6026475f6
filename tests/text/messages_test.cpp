#include "text/messages.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace slm::text {
namespace {

using nlohmann::ordered_json;

TEST(Messages, ArgumentsOfCallsBecomeObjectsOrTexts) {
  ordered_json messages = ordered_json::parse(R"([
    {"role": "user", "content": "x"},
    {"role": "assistant", "tool_calls": [
      {"type": "function", "function": {"name": "f", "arguments": "{\"b\": 1, \"a\": [2]}"}},
      {"type": "function", "function": {"name": "g", "arguments": {"c": 3}}},
      {"type": "function", "function": {"name": "h", "arguments": "no {json"}},
      {"type": "function", "function": {"name": "i", "arguments": "7"}},
      {"name": "j", "arguments": "{}"}, 5]},
    {"role": "assistant", "tool_calls": null}, 4])");
  SetToolArguments(ArgumentForm::kObject, &messages);
  const ordered_json& calls = messages[1]["tool_calls"];
  EXPECT_EQ(calls[0]["function"]["arguments"].dump(), R"({"b":1,"a":[2]})");
  EXPECT_EQ(calls[1]["function"]["arguments"].dump(), R"({"c":3})");
  EXPECT_EQ(calls[2]["function"]["arguments"], "no {json");
  EXPECT_EQ(calls[3]["function"]["arguments"], "7");
  EXPECT_EQ(calls[4]["arguments"], ordered_json::object());
  SetToolArguments(ArgumentForm::kText, &messages);
  EXPECT_EQ(calls[0]["function"]["arguments"], R"({"b":1,"a":[2]})");
  EXPECT_EQ(calls[2]["function"]["arguments"], "no {json");
}

}  // namespace
}  // namespace slm::text
