// Chat templates: from messages to the prompt text.
//
// Variables and their preparation follow transformers' apply_chat_template (5.x): members of
// messages that are null count as absent, and reasoning is given under the names that templates
// read.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "text/jinja.h"
#include "text/tool_probe.h"

namespace slm::text {

class ChatTemplate {
 public:
  // `name` appears in errors. A token that is empty is undefined in the template, as for a
  // tokenizer without it. Throws jinja::TemplateError.
  ChatTemplate(std::string name, std::string source, std::string bos_token, std::string eos_token);

  // `messages`: a non-empty array of objects. `tools`: an array, or null for none. `kwargs`: an
  // object of further variables, or null; `documents` and the special tokens may be among them, the
  // names of the other parameters may not.
  // Throws jinja::RaisedError when the template refuses the conversation, else jinja::TemplateError
  // or Error(kBadInput).
  std::string Render(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools,
                     bool add_generation_prompt, const nlohmann::ordered_json& kwargs,
                     const jinja::RenderOptions& options = {}) const;

  // What is served, trained on and evaluated: CheckTools, and Render of messages whose calls have
  // their arguments as the template reads them.
  std::string RenderChat(nlohmann::ordered_json messages, const nlohmann::ordered_json& tools,
                         bool add_generation_prompt, const nlohmann::ordered_json& kwargs,
                         const jinja::RenderOptions& options = {}) const;
  // Throws kUnsupported for tools, calls of them and their results that the template would leave
  // out in silence.
  void CheckTools(const nlohmann::ordered_json& messages,
                  const nlohmann::ordered_json& tools) const;

  const std::string& source() const { return source_; }

 private:
  std::string source_;
  std::string bos_token_;
  std::string eos_token_;
  jinja::Template template_;
  ToolSupport tools_;
};

// A chat template that comes with the program.
struct PublishedTemplate {
  std::string_view name;  // of the model that it was published with, "Qwen2.5-7B-Instruct"
  std::string_view source;
};

// What a model file says about its origin; empty where it says nothing.
struct ModelTraits {
  std::string architecture;   // general.architecture
  std::string name;           // general.name
  std::string basename;       // general.basename
  std::string tokenizer_pre;  // tokenizer.ggml.pre
};

// The template of the model's family, for a file without one. Nothing when the family is not clear:
// another family's template would be wrong in silence.
std::optional<PublishedTemplate> FindPublishedTemplate(const ModelTraits& traits);

}  // namespace slm::text
