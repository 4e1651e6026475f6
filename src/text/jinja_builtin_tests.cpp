// The tests behind `is`.
#include <algorithm>
#include <iterator>

#include "text/jinja_args.h"
#include "text/jinja_builtins.h"
#include "text/jinja_failure.h"
#include "text/jinja_methods.h"
#include "text/jinja_operators.h"

namespace slm::text::jinja {
namespace {

// Tests of a type take no argument.
template <bool (*holds)(const Value&)>
bool Plain(const Value& value, Args& args) {
  ExpectNoArgs("test", args);
  return holds(value);
}

bool IsDefined(const Value& value) { return !value.is(Type::kUndefined); }
bool IsUndefined(const Value& value) { return value.is(Type::kUndefined); }
bool IsNone(const Value& value) { return value.is(Type::kNone); }
bool IsBoolean(const Value& value) { return value.is(Type::kBool); }
bool IsTrueValue(const Value& value) { return value.is(Type::kBool) && value.as_bool(); }
bool IsFalseValue(const Value& value) { return value.is(Type::kBool) && !value.as_bool(); }
bool IsIntegerValue(const Value& value) { return value.is(Type::kInt); }
bool IsFloatValue(const Value& value) { return value.is(Type::kFloat); }
bool IsNumber(const Value& value) { return value.is_number(); }
bool IsString(const Value& value) { return value.is(Type::kStr); }
bool IsMapping(const Value& value) { return value.is(Type::kDict); }
bool IsEscaped(const Value& value) { return value.is(Type::kStr) && value.as<Str>().markup; }
bool IsLowerValue(const Value& value) { return IsLowerText(ToText(value)); }
bool IsUpperValue(const Value& value) { return IsUpperText(ToText(value)); }

// Has a length and items.
bool IsSequenceValue(const Value& value) {
  return TryLength(value).has_value() && !value.is(Type::kDictView);
}

bool IsCallable(const Value& value) {
  return value.is(Type::kFunction) || value.is(Type::kMacro) || value.is(Type::kUndefined) ||
         value.is(Type::kLoop) || value.is(Type::kJoiner);
}

Value Modulo(const Value& value, Int divisor) {
  return Apply(BinaryOp::kMod, value, Value::Integer(divisor));
}

bool IsOdd(const Value& value) { return Equal(Modulo(value, 2), Value::Integer(1)); }
bool IsEven(const Value& value) { return Equal(Modulo(value, 2), Value::Integer(0)); }

bool IsDivisibleBy(const Value& value, Args& args) {
  const Bound bound("test_divisibleby", args, {"num"}, 1);
  return Equal(Apply(BinaryOp::kMod, value, bound[0]), Value::Integer(0));
}

bool IsSameAs(const Value& value, Args& args) {
  const Bound bound("test_sameas", args, {"other"}, 1);
  return Same(value, bound[0]);
}

bool IsIn(const Value& value, Args& args) {
  const Bound bound("test_in", args, {"seq"}, 1);
  return Contains(bound[0], value);
}

bool IsFilterName(const Value& value, Args& args) {
  ExpectNoArgs("test_filter", args);
  HashValue(value);
  return value.is(Type::kStr) && FindFilter(value.text()) != nullptr;
}

bool IsTestName(const Value& value, Args& args) {
  ExpectNoArgs("test_test", args);
  HashValue(value);
  return value.is(Type::kStr) && FindTest(value.text()) != nullptr;
}

const Value& OtherOperand(const Value&, Args& args) {
  if (args.positional.size() != 1 || !args.named.empty()) {
    throw Failure(FailureKind::kType, "the comparison expected 2 arguments, got {}",
                  1 + args.positional.size() + args.named.size());
  }
  return args.positional[0];
}

bool IsEqual(const Value& value, Args& args) { return Equal(value, OtherOperand(value, args)); }
bool IsNotEqual(const Value& value, Args& args) { return !Equal(value, OtherOperand(value, args)); }
bool IsLess(const Value& value, Args& args) { return Less(value, OtherOperand(value, args), "<"); }
bool IsGreater(const Value& value, Args& args) {
  return Less(OtherOperand(value, args), value, ">");
}
bool IsLessOrEqual(const Value& value, Args& args) {
  return Less(value, OtherOperand(value, args), "<=") || Equal(value, args.positional[0]);
}
bool IsGreaterOrEqual(const Value& value, Args& args) {
  return Less(OtherOperand(value, args), value, ">=") || Equal(value, args.positional[0]);
}

constexpr NamedTest kTests[] = {
    {"odd", &Plain<IsOdd>},
    {"even", &Plain<IsEven>},
    {"divisibleby", &IsDivisibleBy},
    {"defined", &Plain<IsDefined>},
    {"undefined", &Plain<IsUndefined>},
    {"filter", &IsFilterName},
    {"test", &IsTestName},
    {"none", &Plain<IsNone>},
    {"boolean", &Plain<IsBoolean>},
    {"false", &Plain<IsFalseValue>},
    {"true", &Plain<IsTrueValue>},
    {"integer", &Plain<IsIntegerValue>},
    {"float", &Plain<IsFloatValue>},
    {"lower", &Plain<IsLowerValue>},
    {"upper", &Plain<IsUpperValue>},
    {"string", &Plain<IsString>},
    {"mapping", &Plain<IsMapping>},
    {"number", &Plain<IsNumber>},
    {"sequence", &Plain<IsSequenceValue>},
    {"iterable", &Plain<IsIterable>},
    {"callable", &Plain<IsCallable>},
    {"sameas", &IsSameAs},
    {"escaped", &Plain<IsEscaped>},
    {"in", &IsIn},
    {"==", &IsEqual},
    {"eq", &IsEqual},
    {"equalto", &IsEqual},
    {"!=", &IsNotEqual},
    {"ne", &IsNotEqual},
    {">", &IsGreater},
    {"gt", &IsGreater},
    {"greaterthan", &IsGreater},
    {"ge", &IsGreaterOrEqual},
    {">=", &IsGreaterOrEqual},
    {"<", &IsLess},
    {"lt", &IsLess},
    {"lessthan", &IsLess},
    {"<=", &IsLessOrEqual},
    {"le", &IsLessOrEqual},
};

}  // namespace

const NamedTest* FindTest(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTests), std::end(kTests),
                                   [&](const NamedTest& entry) { return entry.name == name; });
  return found == std::end(kTests) ? nullptr : found;
}

}  // namespace slm::text::jinja
