// A sandboxed interpreter of the Jinja2 template language, as chat templates use it.
//
// Output equals Python's jinja2 3.1 in the configuration of Hugging Face transformers: an immutable
// sandbox, trim_blocks, lstrip_blocks, no autoescape, the loop control extension, the
// `{% generation %}` tag, and a tojson filter that is json.dumps without HTML escapes. A template
// comes from a model file, so it is hostile input: every render runs under Limits, reaches nothing
// of the host, and fails only by exceptions. Differences are listed in docs/templates.md.
//
// A Template is immutable after Parse; any number of threads may render it at once.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/error.h"

namespace slm::text::jinja {

// What one render may use. The defaults leave room for a conversation of a million tokens.
struct Limits {
  int64_t steps = 20'000'000;  // nodes evaluated, items visited, 64-byte spans scanned
  int64_t output_bytes = int64_t{64} << 20;
  int64_t memory_bytes = int64_t{128} << 20;  // of live values, at any moment
  int depth = 1500;      // nested nodes being evaluated; bounds the native stack
  int call_depth = 150;  // nested calls of macros and recursive loops
};

struct RenderOptions {
  Limits limits;
  // The clock behind strftime_now: local time. Empty means the clock of the system.
  std::function<std::tm()> now;
};

// A template that does not parse or a render that fails. what() has template name, line and reason.
class TemplateError : public Error {
 public:
  TemplateError(const std::string& name, int line, const std::string& kind,
                const std::string& reason)
      : Error(Code::kBadInput, "template {}, line {}: {}: {}", name, line, kind, reason),
        line_(line),
        kind_(kind),
        reason_(reason) {}

  int line() const { return line_; }
  // The name of Python's exception: "TemplateSyntaxError", "UndefinedError", "TypeError", ...
  const std::string& kind() const { return kind_; }
  const std::string& reason() const { return reason_; }

 private:
  int line_;
  std::string kind_;
  std::string reason_;
};

// The template itself refused its input by raise_exception(message); reason() is that message.
class RaisedError : public TemplateError {
 public:
  using TemplateError::TemplateError;
};

struct Program;  // the parsed and bound template

class Template {
 public:
  // `name` appears in errors only. Bytes that are not UTF-8 become U+FFFD. Throws TemplateError.
  static Template Parse(std::string name, std::string source);

  // Renders with the members of the object `context` as variables; key order is kept. Throws
  // TemplateError, and RaisedError for raise_exception.
  std::string Render(const nlohmann::ordered_json& context, const RenderOptions& options) const;

 private:
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;
};

}  // namespace slm::text::jinja
