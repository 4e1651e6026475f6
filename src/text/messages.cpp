#include "text/messages.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "text/json.h"

namespace slm::text {
namespace {

using nlohmann::ordered_json;

std::string TextOf(const ordered_json& part) {
  if (!part.is_object() || part.value("type", ordered_json()) != "text")
    throw Error(Code::kUnsupported, "messages: only parts of type text are supported");
  const ordered_json text = part.value("text", ordered_json());
  if (!text.is_string() && !text.is_null())
    throw Error(Code::kBadInput, "text: expected a string, got {}", text.type_name());
  return text.is_string() ? text.get<std::string>() : "";
}

}  // namespace

void JoinTextParts(ordered_json* messages) {
  for (ordered_json& message : *messages) {
    if (!message.is_object()) continue;
    const auto content = message.find("content");
    if (content == message.end() || !content->is_array()) continue;
    std::string text;
    for (const ordered_json& part : *content) text += TextOf(part);
    *content = text;
  }
}

void SetToolArguments(ArgumentForm form, ordered_json* messages) {
  for (ordered_json& message : *messages) {
    if (!message.is_object() || !message.contains("tool_calls")) continue;
    ordered_json& calls = message.at("tool_calls");
    if (!calls.is_array()) continue;
    for (ordered_json& call : calls) {
      if (!call.is_object()) continue;
      ordered_json* function = call.contains("function") ? &call.at("function") : &call;
      if (!function->is_object() || !function->contains("arguments")) continue;
      ordered_json& arguments = function->at("arguments");
      if (form == ArgumentForm::kText && arguments.is_object()) arguments = arguments.dump();
      if (form == ArgumentForm::kText || !arguments.is_string()) continue;
      try {
        ordered_json parsed = ParseJson(arguments.get<std::string>(), "arguments");
        if (parsed.is_object()) arguments = std::move(parsed);
      } catch (const Error&) {  // a model may have said what is none
      }
    }
  }
}

}  // namespace slm::text
