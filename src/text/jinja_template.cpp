// Template: parsing, conversion of the context, rendering.
#include <nlohmann/json.hpp>

#include "text/jinja.h"
#include "text/jinja_ast.h"
#include "text/jinja_binder.h"
#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_interpreter.h"
#include "text/jinja_lexer.h"
#include "text/jinja_parser.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

using nlohmann::ordered_json;

Value FromJson(const ordered_json& json) {
  const Budget::Depth depth;
  switch (json.type()) {
    case ordered_json::value_t::boolean:
      return Value::Bool(json.get<bool>());
    case ordered_json::value_t::number_integer:
      return Value::Integer(json.get<int64_t>());
    case ordered_json::value_t::number_unsigned:
      return Value::Integer(json.get<uint64_t>());
    case ordered_json::value_t::number_float:
      return Value::Float(json.get<double>());
    case ordered_json::value_t::string:
      return Value::Text(SanitizeUtf8(json.get_ref<const std::string&>()));
    case ordered_json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const ordered_json& item : json) items.push_back(FromJson(item));
      return Value::List(std::move(items));
    }
    case ordered_json::value_t::object: {
      const Ref<Dict> dict = Make<Dict>();
      for (const auto& [key, item] : json.items()) {
        dict->Set(Value::Text(SanitizeUtf8(key)), FromJson(item));
      }
      return dict;
    }
    default:
      return Value();
  }
}

Variables MakeVariables(const ordered_json& context) {
  Variables variables;
  if (context.is_null()) return variables;
  if (!context.is_object()) {
    throw Failure(FailureKind::kType, "the context of a template must be an object");
  }
  for (const auto& [key, item] : context.items()) {
    variables.insert_or_assign(SanitizeUtf8(key), FromJson(item));
  }
  return variables;
}

// Empties what the render leaves behind, so that cycles die.
class Cleaner {
 public:
  Cleaner() : mark_(Mutable::Mark()) {}
  ~Cleaner() { Mutable::ClearSince(mark_); }
  Cleaner(const Cleaner&) = delete;
  Cleaner& operator=(const Cleaner&) = delete;

 private:
  uint64_t mark_;
};

[[noreturn]] void Rethrow(const std::string& name, int line, const Failure& failure) {
  if (failure.kind() == FailureKind::kRaised) {
    throw RaisedError(name, line, FailureName(failure.kind()), failure.what());
  }
  throw TemplateError(name, line, FailureName(failure.kind()), failure.what());
}

}  // namespace

Template Template::Parse(std::string name, std::string source) {
  auto program = std::make_shared<Program>();
  program->name = std::move(name);
  try {
    program->body = ParseTemplate(Tokenize(SanitizeUtf8(source)));
    Bind(program.get());
  } catch (const SyntaxFailure& failure) {
    throw TemplateError(program->name, failure.line, FailureName(failure.kind), failure.message);
  }
  return Template(std::move(program));
}

std::string Template::Render(const ordered_json& context, const RenderOptions& options) const {
  const Budget budget(options.limits);
  const Cleaner cleaner;
  int line = 1;
  try {
    Interpreter interpreter(*program_, options, MakeVariables(context));
    try {
      return interpreter.Run();
    } catch (const Failure&) {
      line = interpreter.line();
      throw;
    }
  } catch (const Failure& failure) {
    Rethrow(program_->name, line, failure);
  }
}

}  // namespace slm::text::jinja
