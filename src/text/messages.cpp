#include "text/messages.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

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

}  // namespace slm::text
