#include "text/jinja_args.h"

#include <algorithm>

#include "text/jinja_failure.h"
#include "text/jinja_operators.h"

namespace slm::text::jinja {

Bound::Bound(std::string_view function, const Args& args,
             std::initializer_list<std::string_view> names, size_t required)
    : values_(names.size(), Value::Missing()) {
  if (args.positional.size() > names.size()) {
    throw Failure(FailureKind::kType, "{}() takes at most {} arguments ({} given)", function,
                  names.size(), args.positional.size() + args.named.size());
  }
  std::copy(args.positional.begin(), args.positional.end(), values_.begin());
  for (const auto& [name, value] : args.named) {
    const auto* found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      throw Failure(FailureKind::kType, "{}() got an unexpected keyword argument '{}'", function,
                    name);
    }
    Value& slot = values_[static_cast<size_t>(found - names.begin())];
    if (!slot.is(Type::kMissing)) {
      throw Failure(FailureKind::kType, "{}() got multiple values for argument '{}'", function,
                    name);
    }
    slot = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!has(i)) {
      throw Failure(FailureKind::kType, "{}() missing 1 required positional argument: '{}'",
                    function, names.begin()[i]);
    }
  }
}

bool Bound::Flag(size_t index, bool otherwise) const {
  return has(index) ? IsTrue(values_[index]) : otherwise;
}

int64_t Bound::Number(size_t index, int64_t otherwise) const {
  return has(index) ? ToInt64(values_[index]) : otherwise;
}

int64_t Bound::NumberOrNone(size_t index, int64_t otherwise) const {
  return has(index) && !values_[index].is(Type::kNone) ? ToInt64(values_[index]) : otherwise;
}

const std::string& Bound::Text(size_t index, std::string_view what) const {
  const Value& value = values_[index];
  if (value.is(Type::kStr)) return value.text();
  throw Failure(FailureKind::kType, "{} must be str, not {}", what, TypeName(value));
}

void ExpectNoArgs(std::string_view function, const Args& args) {
  if (!args.positional.empty() || !args.named.empty()) {
    throw Failure(FailureKind::kType, "{}() takes no arguments ({} given)", function,
                  args.positional.size() + args.named.size());
  }
}

}  // namespace slm::text::jinja
