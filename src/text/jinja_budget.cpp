#include "text/jinja_budget.h"

#include "text/jinja.h"
#include "text/jinja_failure.h"

namespace slm::text::jinja {

thread_local Budget* Budget::current_ = nullptr;

Budget::Budget(const Limits& limits)
    : steps_(limits.steps), memory_(limits.memory_bytes), depth_(limits.depth), outer_(current_) {
  current_ = this;
}

Budget::~Budget() { current_ = outer_; }

size_t Budget::Take(size_t bytes) {
  if (current_ == nullptr) return 0;
  if (bytes > static_cast<size_t>(current_->memory_)) {
    throw Failure(FailureKind::kLimit, "the render needs more memory than it may use");
  }
  current_->memory_ -= static_cast<int64_t>(bytes);
  StepBytes(bytes);
  return bytes;
}

void Budget::CheckFits(int64_t count, int64_t unit) {
  if (current_ == nullptr || count <= 0 || unit <= 0) return;
  int64_t bytes;
  if (__builtin_mul_overflow(count, unit, &bytes) || bytes > current_->memory_) {
    throw Failure(FailureKind::kLimit, "the render needs more memory than it may use");
  }
}

void Budget::FailSteps() {
  current_->steps_ = 0;
  throw Failure(FailureKind::kLimit, "the render takes more steps than it may take");
}

void Budget::FailDepth() {
  ++current_->depth_;
  throw Failure(FailureKind::kLimit, "maximum recursion depth exceeded");
}

const char* FailureName(FailureKind kind) {
  switch (kind) {
    case FailureKind::kSyntax:
      return "TemplateSyntaxError";
    case FailureKind::kAssertion:
      return "TemplateAssertionError";
    case FailureKind::kPythonAssertion:
      return "AssertionError";
    case FailureKind::kRuntime:
      return "TemplateRuntimeError";
    case FailureKind::kUndefined:
      return "UndefinedError";
    case FailureKind::kSecurity:
      return "SecurityError";
    case FailureKind::kRaised:
      return "TemplateError";
    case FailureKind::kFilterArgument:
      return "FilterArgumentError";
    case FailureKind::kType:
      return "TypeError";
    case FailureKind::kValue:
      return "ValueError";
    case FailureKind::kKey:
      return "KeyError";
    case FailureKind::kIndex:
      return "IndexError";
    case FailureKind::kAttribute:
      return "AttributeError";
    case FailureKind::kOverflow:
      return "OverflowError";
    case FailureKind::kZeroDivision:
      return "ZeroDivisionError";
    case FailureKind::kRecursion:
      return "RecursionError";
    case FailureKind::kLimit:
      return "LimitError";
    case FailureKind::kUnsupported:
      return "UnsupportedError";
  }
  return "Error";
}

}  // namespace slm::text::jinja
