// The exception inside the interpreter: Python's exception kinds without a position. Render and
// Parse turn it into TemplateError with the line.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace slm::text::jinja {

enum class FailureKind {
  kSyntax,
  kAssertion,  // jinja2's TemplateAssertionError: a template that parses but cannot be compiled
  kPythonAssertion,
  kRuntime,
  kUndefined,
  kSecurity,
  kRaised,  // raise_exception
  kFilterArgument,
  kType,
  kValue,
  kKey,
  kIndex,
  kAttribute,
  kOverflow,
  kZeroDivision,
  kRecursion,
  kLimit,        // no Python counterpart: a limit of the sandbox
  kUnsupported,  // no Python counterpart: outside what this interpreter does
};

const char* FailureName(FailureKind kind);

class Failure : public std::runtime_error {
 public:
  template <class... Args>
  Failure(FailureKind kind, fmt::format_string<Args...> format, Args&&... args)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)), kind_(kind) {}

  FailureKind kind() const { return kind_; }

 private:
  FailureKind kind_;
};

}  // namespace slm::text::jinja
