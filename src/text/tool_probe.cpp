#include "text/tool_probe.h"

#include <exception>
#include <nlohmann/json.hpp>

namespace slm::text {
namespace {

using nlohmann::ordered_json;

bool Shows(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// Empty where the template refuses.
std::string RenderOrNothing(const RenderTools& render, const ordered_json& messages,
                            const ordered_json& tools) {
  try {
    return render(messages, tools);
  } catch (const std::exception&) {
    return "";
  }
}

// A call and its result. Some templates want an id of nine letters and digits, and some show calls
// only of messages that say nothing else.
ordered_json Conversation(bool has_content, const ordered_json& arguments) {
  ordered_json call = {{"role", "assistant"},
                       {"tool_calls",
                        {{{"id", "probecall"},
                          {"type", "function"},
                          {"function", {{"name", "probe_call"}, {"arguments", arguments}}}}}}};
  if (has_content) call["content"] = "";
  return ordered_json::array({{{"role", "user"}, {"content", "question"}},
                              call,
                              {{"role", "tool"},
                               {"tool_call_id", "probecall"},
                               {"name", "probe_call"},
                               {"content", "probe_result"}}});
}

}  // namespace

ToolSupport ProbeTools(const RenderTools& render) {
  ToolSupport support;
  const ordered_json question = {{"role", "user"}, {"content", "question"}};
  const ordered_json system = {{"role", "system"}, {"content", "instruction"}};
  const ordered_json tools = ordered_json::array(
      {{{"type", "function"},
        {"function",
         {{"name", "probe_tool"},
          {"description", "nothing"},
          {"parameters", {{"type", "object"}, {"properties", ordered_json::object()}}}}}}});
  for (const ordered_json& messages :
       {ordered_json::array({question}), ordered_json::array({system, question})})
    support.shows_tools |= Shows(RenderOrNothing(render, messages, tools), "probe_tool");
  const ordered_json object = {{"probe_argument", "value"}};
  for (const bool has_content : {true, false})
    for (const ArgumentForm form : {ArgumentForm::kObject, ArgumentForm::kText}) {
      const ordered_json arguments =
          form == ArgumentForm::kObject ? object : ordered_json(object.dump());
      const std::string text =
          RenderOrNothing(render, Conversation(has_content, arguments), nullptr);
      support.shows_results |= Shows(text, "probe_result");
      // Python's way of writing an object is not JSON's.
      if (support.shows_calls || !Shows(text, "probe_call") || !Shows(text, "probe_argument") ||
          Shows(text, "'probe_argument'"))
        continue;
      support.shows_calls = true;
      support.arguments = form;
    }
  return support;
}

}  // namespace slm::text
