// Files of examples to train on: JSON lines, or one JSON list. Every form becomes conversations, or
// plain text, in one form.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace slm::format {

enum class DataFormat {
  kMessages,    // {messages: [{role, content, tool_calls?}], tools?}, as OpenAI has it
  kShareGpt,    // {conversations: [{from, value} or {role, content}], system?, tools?}
  kAlpaca,      // {instruction, input?, output, system?, history?: [[user, assistant]]}
  kCompletion,  // {prompt, completion}: texts, or lists of messages
  kText         // {text}
};
const char* Name(DataFormat format);

struct Example {
  size_t line = 0;  // in the file, from 1; of a list, the number of the element
  nlohmann::ordered_json messages, tools;
  std::string text;  // where there are no messages
};

struct Dataset {
  std::string path;
  DataFormat format = DataFormat::kMessages;
  std::vector<Example> examples;
};

// The format is told by the members of the first example. Throws kBadInput, naming file and line,
// for what is not JSON, has another format than the first line, lacks a member, or has roles that
// are not known; for a file without examples; and for conversations without an answer.
Dataset ReadDataset(const std::string& path);

// The same of the text of a file. `path` is for messages.
Dataset ParseDataset(const std::string& path, std::string_view text);

}  // namespace slm::format
