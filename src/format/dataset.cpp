#include "format/dataset.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/mapped_file.h"
#include "format/json_lines.h"
#include "text/json.h"
#include "text/messages.h"

namespace slm::format {
namespace {

using nlohmann::ordered_json;

std::optional<DataFormat> FormatOf(const ordered_json& object) {
  if (object.contains("messages")) return DataFormat::kMessages;
  if (object.contains("conversations")) return DataFormat::kShareGpt;
  if (object.contains("instruction")) return DataFormat::kAlpaca;
  if (object.contains("prompt") && object.contains("completion")) return DataFormat::kCompletion;
  if (object.contains("text")) return DataFormat::kText;
  return std::nullopt;
}

class Reader {
 public:
  Reader(std::string where, const ordered_json& object)
      : where_(std::move(where)), object_(object) {}

  Example Read(DataFormat format) const {
    Example example;
    example.messages = ordered_json::array();
    if (object_.contains("tools")) example.tools = Tools(object_.at("tools"));
    switch (format) {
      case DataFormat::kMessages:
        example.messages = List(object_, "messages");
        break;
      case DataFormat::kShareGpt:
        ReadShareGpt(&example.messages);
        break;
      case DataFormat::kAlpaca:
        ReadAlpaca(&example.messages);
        break;
      case DataFormat::kCompletion:
        ReadCompletion(&example.messages);
        break;
      case DataFormat::kText:
        example.text = Text(object_, "text");
        if (example.text.empty()) Fail("text is empty");
        return example;
    }
    Check(&example.messages);
    return example;
  }

 private:
  template <class... Args>
  [[noreturn]] void Fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(Code::kBadInput, "{}: {}", where_,
                fmt::format(format, std::forward<Args>(args)...));
  }

  std::string Text(const ordered_json& object, const char* name) const {
    const auto it = object.find(name);
    if (it == object.end()) Fail("no {}", name);
    if (!it->is_string()) Fail("{}: expected a string, got {}", name, it->type_name());
    return it->get<std::string>();
  }
  std::string TextOr(const ordered_json& object, const char* name) const {
    const auto it = object.find(name);
    return it == object.end() || it->is_null() ? "" : Text(object, name);
  }
  ordered_json List(const ordered_json& object, const char* name) const {
    const ordered_json& list = object.at(name);
    if (!list.is_array()) Fail("{}: expected a list, got {}", name, list.type_name());
    return list;
  }
  // Some files have the list of tools as a text.
  ordered_json Tools(const ordered_json& tools) const {
    if (tools.is_null()) return nullptr;
    if (tools.is_array()) return tools;
    if (!tools.is_string()) Fail("tools: expected a list, got {}", tools.type_name());
    const auto text = tools.get<std::string>();
    if (text.empty()) return nullptr;
    const ordered_json parsed = text::ParseJson(text, where_ + ": tools");
    if (!parsed.is_array()) Fail("tools: expected a list, got {}", parsed.type_name());
    return parsed;
  }

  static void Add(const char* role, const std::string& content, ordered_json* messages) {
    messages->push_back({{"role", role}, {"content", content}});
  }

  void ReadShareGpt(ordered_json* messages) const {
    constexpr std::pair<const char*, const char*> kRoles[] = {
        {"human", "user"},    {"user", "user"},
        {"gpt", "assistant"}, {"assistant", "assistant"},
        {"system", "system"}, {"observation", "tool"},
        {"tool", "tool"},     {"function_call", "assistant"}};
    if (const std::string system = TextOr(object_, "system"); !system.empty())
      Add("system", system, messages);
    for (const ordered_json& turn : List(object_, "conversations")) {
      if (!turn.is_object()) Fail("conversations: expected objects, got {}", turn.type_name());
      // Many files have OpenAI's messages under this name.
      if (turn.contains("role")) {
        messages->push_back(turn);
        continue;
      }
      const std::string from = Text(turn, "from"), value = Text(turn, "value");
      const auto role = std::find_if(std::begin(kRoles), std::end(kRoles),
                                     [&](const auto& pair) { return from == pair.first; });
      if (role == std::end(kRoles))
        Fail(
            "conversations: unknown role \"{}\"; known are human, gpt, system, function_call and "
            "observation",
            from);
      if (from == "function_call")
        messages->push_back(FunctionCall(value));
      else
        Add(role->second, value, messages);
    }
  }
  ordered_json FunctionCall(const std::string& value) const {
    const ordered_json call = text::ParseJson(value, where_ + ": function_call");
    if (!call.is_object() || !call.contains("name")) Fail("function_call: no name");
    ordered_json function = {{"name", call.at("name")},
                             {"arguments", call.value("arguments", ordered_json::object())}};
    return {{"role", "assistant"},
            {"content", nullptr},
            {"tool_calls", ordered_json::array({{{"type", "function"}, {"function", function}}})}};
  }

  void ReadAlpaca(ordered_json* messages) const {
    if (const std::string system = TextOr(object_, "system"); !system.empty())
      Add("system", system, messages);
    if (const auto history = object_.find("history");
        history != object_.end() && !history->is_null())
      for (const ordered_json& turn : List(object_, "history")) {
        if (!turn.is_array() || turn.size() != 2 || !turn[0].is_string() || !turn[1].is_string())
          Fail("history: expected pairs of strings");
        Add("user", turn[0].get<std::string>(), messages);
        Add("assistant", turn[1].get<std::string>(), messages);
      }
    const std::string input = TextOr(object_, "input");
    Add("user", Text(object_, "instruction") + (input.empty() ? "" : "\n\n" + input), messages);
    Add("assistant", Text(object_, "output"), messages);
  }

  void ReadCompletion(ordered_json* messages) const {
    for (const auto& [name, role] : {std::pair{"prompt", "user"}, {"completion", "assistant"}}) {
      if (object_.at(name).is_array())
        messages->insert(messages->end(), object_.at(name).begin(), object_.at(name).end());
      else
        Add(role, Text(object_, name), messages);
    }
  }

  void Check(ordered_json* messages) const {
    constexpr const char* kRoles[] = {"system", "developer", "user", "assistant", "tool"};
    if (messages->empty()) Fail("no messages");
    try {
      text::JoinTextParts(messages);
    } catch (const Error& error) {
      throw Error(error.code(), "{}: {}", where_, error.what());
    }
    bool has_answer = false;
    for (const ordered_json& message : *messages) {
      if (!message.is_object()) Fail("messages: expected objects, got {}", message.type_name());
      const std::string role = Text(message, "role");
      if (std::find(std::begin(kRoles), std::end(kRoles), role) == std::end(kRoles))
        Fail("unknown role \"{}\"; known are system, developer, user, assistant and tool", role);
      const bool has_calls = message.contains("tool_calls") && !message.at("tool_calls").is_null();
      const auto content = message.find("content");
      const bool has_content = content != message.end() && !content->is_null();
      if (has_content && !content->is_string())
        Fail("content: expected a string, got {}", content->type_name());
      if (!has_content && !has_calls) Fail("a message of role {} has no content", role);
      if (message.contains("weight") && message.at("weight") != 0 && message.at("weight") != 1)
        Fail("weight: expected 0 or 1, got {}", message.at("weight").dump());
      has_answer |= role == "assistant";
    }
    if (!has_answer) Fail("no message of role assistant: there is nothing to learn");
  }

  const std::string where_;
  const ordered_json& object_;
};

}  // namespace

const char* Name(DataFormat format) {
  switch (format) {
    case DataFormat::kMessages:
      return "messages";
    case DataFormat::kShareGpt:
      return "sharegpt";
    case DataFormat::kAlpaca:
      return "alpaca";
    case DataFormat::kCompletion:
      return "prompt/completion";
    case DataFormat::kText:
      return "text";
  }
  return "";
}

Dataset ReadDataset(const std::string& path) {
  const MappedFile file(path);
  return ParseDataset(path,
                      {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
}

Dataset ParseDataset(const std::string& path, std::string_view text) {
  Dataset dataset;
  dataset.path = path;
  ForJsonObjects(path, text, [&](const ordered_json& object, size_t line) {
    const std::string where = path + ":" + std::to_string(line);
    const auto format = FormatOf(object);
    if (!format)
      throw Error(Code::kBadInput,
                  "{}: expected messages, conversations, instruction, prompt and completion, or "
                  "text",
                  where);
    if (dataset.examples.empty()) dataset.format = *format;
    if (*format != dataset.format)
      throw Error(Code::kBadInput, "{}: this line is {}, those before it are {}", where,
                  Name(*format), Name(dataset.format));
    dataset.examples.push_back(Reader(where, object).Read(*format));
    dataset.examples.back().line = line;
  });
  return dataset;
}

}  // namespace slm::format
