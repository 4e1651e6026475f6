#include "text/chat_template.h"

#include <array>
#include <nlohmann/json.hpp>

namespace slm::text {
namespace {

using nlohmann::ordered_json;

// The names under which a message's reasoning comes, the one that templates read first.
constexpr std::array<const char*, 3> kReasoningNames = {"reasoning_content", "thinking",
                                                        "reasoning"};

ordered_json PrepareMessage(const ordered_json& message) {
  ordered_json present = ordered_json::object();
  for (const auto& [key, value] : message.items()) {
    if (!value.is_null()) present[key] = value;
  }
  for (const char* name : kReasoningNames) {
    const auto reasoning = present.find(name);
    if (reasoning == present.end()) continue;
    const ordered_json text = *reasoning;
    ordered_json prepared = ordered_json::object();
    prepared["thinking"] = text;  // first, where gpt-oss looks for it
    for (const auto& [key, value] : present.items()) prepared[key] = value;
    prepared["reasoning_content"] = text;
    return prepared;
  }
  return present;
}

ordered_json PrepareMessages(const ordered_json& messages) {
  if (!messages.is_array()) {
    throw Error(Code::kBadInput, "messages: expected an array, got {}", messages.type_name());
  }
  if (messages.empty()) {
    throw Error(Code::kBadInput, "messages: expected at least one message, got none");
  }
  ordered_json prepared = ordered_json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    if (!messages[i].is_object()) {
      throw Error(Code::kBadInput, "messages[{}]: expected an object, got {}", i,
                  messages[i].type_name());
    }
    prepared.push_back(PrepareMessage(messages[i]));
  }
  return prepared;
}

}  // namespace

ChatTemplate::ChatTemplate(std::string name, std::string source, std::string bos_token,
                           std::string eos_token)
    : source_(std::move(source)),
      bos_token_(std::move(bos_token)),
      eos_token_(std::move(eos_token)),
      template_(jinja::Template::Parse(std::move(name), source_)) {
  tools_ = ProbeTools([&](const ordered_json& messages, const ordered_json& tools) {
    return Render(messages, tools, true, nullptr);
  });
}

void ChatTemplate::CheckTools(const ordered_json& messages, const ordered_json& tools) const {
  const auto fail = [](const char* what) {
    throw Error(Code::kUnsupported, "the chat template shows no {} to the model", what);
  };
  if (!tools_.shows_tools && tools.is_array() && !tools.empty()) fail("tools");
  for (const ordered_json& message : messages) {
    if (!message.is_object()) continue;
    const auto calls = message.find("tool_calls");
    if (!tools_.shows_calls && calls != message.end() && calls->is_array() && !calls->empty())
      fail("calls of tools");
    if (!tools_.shows_results && message.value("role", ordered_json()) == "tool")
      fail("results of tools");
  }
}

std::string ChatTemplate::RenderChat(ordered_json messages, const ordered_json& tools,
                                     bool add_generation_prompt, const ordered_json& kwargs,
                                     const jinja::RenderOptions& options) const {
  CheckTools(messages, tools);
  SetToolArguments(tools_.arguments, &messages);
  return Render(messages, tools, add_generation_prompt, kwargs, options);
}

std::string ChatTemplate::Render(const ordered_json& messages, const ordered_json& tools,
                                 bool add_generation_prompt, const ordered_json& kwargs,
                                 const jinja::RenderOptions& options) const {
  if (!tools.is_null() && !tools.is_array()) {
    throw Error(Code::kBadInput, "tools: expected an array, got {}", tools.type_name());
  }
  if (!kwargs.is_null() && !kwargs.is_object()) {
    throw Error(Code::kBadInput, "template arguments: expected an object, got {}",
                kwargs.type_name());
  }
  ordered_json context = ordered_json::object();
  if (!bos_token_.empty()) context["bos_token"] = bos_token_;
  if (!eos_token_.empty()) context["eos_token"] = eos_token_;
  context["documents"] = nullptr;
  if (kwargs.is_object()) {
    for (const auto& [key, value] : kwargs.items()) {
      if (key == "messages" || key == "tools" || key == "add_generation_prompt") {
        throw Error(Code::kBadInput, "template arguments: {} has a parameter of its own", key);
      }
      context[key] = value;
    }
  }
  context["messages"] = PrepareMessages(messages);
  context["tools"] = tools;
  context["add_generation_prompt"] = add_generation_prompt;
  return template_.Render(context, options);
}

}  // namespace slm::text
