// Filters on single values and numbers, and tojson.
#include <cmath>

#include "text/jinja_args.h"
#include "text/jinja_budget.h"
#include "text/jinja_builtins.h"
#include "text/jinja_failure.h"
#include "text/jinja_format.h"
#include "text/jinja_operators.h"

namespace slm::text::jinja {
namespace {

[[noreturn]] void FailOperand(const char* what, const Value& value) {
  throw Failure(FailureKind::kType, "{}: '{}'", what, TypeName(value));
}

Value Absolute(const Value& value, Args& args) {
  ExpectNoArgs("abs", args);
  if (value.is(Type::kFloat)) return Value::Float(std::abs(value.as_float()));
  if (!value.is_integral()) FailOperand("bad operand type for abs()", value);
  return value.as_int() < 0 ? Negate(value) : Plus(value);
}

Value Attribute(const Value& value, Args& args) {
  const Bound bound("do_attr", args, {"name"}, 1);
  const std::string& name = bound.Text(0, "attribute name");
  // Unlike `.`, this does not fall back to items.
  if (value.is(Type::kDict) && FindMethod(value, name).is(Type::kMissing)) {
    std::string message = "'dict object' has no attribute ";
    AppendQuoted(&message, name);
    return Value::Undefined(std::move(message));
  }
  return GetAttribute(value, name);
}

Value Default(const Value& value, Args& args) {
  const Bound bound("do_default", args, {"default_value", "boolean"});
  const bool replace = value.is(Type::kUndefined) || (bound.Flag(1, false) && !IsTrue(value));
  if (!replace) return value;
  return bound.has(0) ? bound[0] : Value::Text("");
}

// float(value), or nothing where Python raises TypeError or ValueError.
std::optional<double> TryFloat(const Value& value) {
  if (value.is(Type::kUndefined)) ToIndex(value);  // throws
  if (value.is_number()) return ToDouble(value);
  if (value.is(Type::kStr)) return ParseFloat(value.text());
  return std::nullopt;
}

Value ToInteger(const Value& value, Args& args) {
  const Bound bound("do_int", args, {"default", "base"});
  const Value otherwise = bound.has(0) ? bound[0] : Value::Integer(0);
  if (value.is(Type::kUndefined)) ToIndex(value);  // throws
  if (value.is_integral()) return Value::Integer(value.as_int());
  if (value.is(Type::kStr)) {
    if (const auto number = ParseInt(value.text(), static_cast<int>(bound.Number(1, 10)))) {
      return Value::Integer(*number);
    }
  }
  const auto number = TryFloat(value);
  if (!number || std::isnan(*number)) return otherwise;
  if (std::isinf(*number)) {
    // int(inf) outside the filter's own try block is an error, int(float("inf")) is not.
    if (value.is(Type::kFloat)) FloatToInt(*number);
    return otherwise;
  }
  return Value::Integer(FloatToInt(*number));
}

Value ToFloat(const Value& value, Args& args) {
  const Bound bound("do_float", args, {"default"});
  if (const auto number = TryFloat(value)) return Value::Float(*number);
  return bound.has(0) ? bound[0] : Value::Float(0);
}

Value String(const Value& value, Args& args) {
  ExpectNoArgs("soft_str", args);
  return SoftText(value);
}

// round(value, digits) of Python: exact, ties to even.
Value RoundCommon(const Value& value, int64_t digits) {
  if (value.is_integral()) {
    if (digits >= 0) return Plus(value);
    if (digits < -37) return Value::Integer(0);
    Int unit = 1;
    for (int64_t i = 0; i > digits; --i) unit *= 10;
    const Int number = value.as_int();
    const Int rest = ((number % unit) + unit) % unit;
    Int rounded = number - rest;
    const bool odd = rounded / unit % 2 != 0;
    if (rest > unit - rest || (rest == unit - rest && odd)) rounded = CheckedAdd(rounded, unit);
    return Value::Integer(rounded);
  }
  const double number = value.as_float();
  if (!std::isfinite(number) || digits > 323) return value;
  if (digits < -308) return Value::Float(std::copysign(0.0, number));
  if (digits >= 0) {
    NumberStyle style;
    style.type = 'f';
    style.precision = digits;
    const NumberText text = FormatFloat(number, style);
    return Value::Float(*ParseFloat(text.prefix + text.digits));
  }
  const double unit = std::pow(10.0, static_cast<double>(-digits));
  return Value::Float(std::nearbyint(number / unit) * unit);
}

Value Round(const Value& value, Args& args) {
  const Bound bound("do_round", args, {"precision", "method"});
  const std::string method = bound.has(1) ? ToText(bound[1]) : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    throw Failure(FailureKind::kFilterArgument, "method must be common, ceil or floor");
  }
  if (!value.is_number()) {
    if (method != "common" && value.is(Type::kUndefined)) ToIndex(value);  // throws
    throw Failure(FailureKind::kType, "type {} doesn't define __round__ method", TypeName(value));
  }
  // round(x, None) gives an integer.
  if (bound.has(0) && bound[0].is(Type::kNone) && method == "common") {
    return value.is_integral() ? Plus(value)
                               : Value::Integer(FloatToInt(std::nearbyint(value.as_float())));
  }
  if (method == "common") return RoundCommon(value, bound.Number(0, 0));
  const Value power = Apply(BinaryOp::kPow, Value::Integer(10), Value::Integer(bound.Number(0, 0)));
  const Value scaled = Apply(BinaryOp::kMul, value, power);
  Value whole = scaled;
  if (scaled.is(Type::kFloat)) {
    const double number = scaled.as_float();
    whole = Value::Integer(FloatToInt(method == "ceil" ? std::ceil(number) : std::floor(number)));
  }
  return Apply(BinaryOp::kDiv, whole, power);
}

Value FileSize(const Value& value, Args& args) {
  const Bound bound("do_filesizeformat", args, {"binary"});
  const auto bytes = TryFloat(value);
  if (!bytes) {
    throw Failure(FailureKind::kValue, "could not convert to float: {}", Repr(value));
  }
  const bool binary = bound.Flag(0, false);
  const double base = binary ? 1024 : 1000;
  if (*bytes == 1) return Value::Text("1 Byte");
  if (*bytes < base) return Value::Text(fmt::format("{} Bytes", IntText(FloatToInt(*bytes))));
  double unit = base;
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  for (size_t i = 0;; ++i) {
    unit *= base;
    if (*bytes >= unit && i + 1 < kPrefixes.size()) continue;
    const char prefix = binary && i == 0 ? 'K' : kPrefixes[i];
    return Value::Text(
        fmt::format("{:.1f} {}{}", base * *bytes / unit, prefix, binary ? "iB" : "B"));
  }
}

Value ToJsonFilter(const Value& value, Args& args) {
  const Bound bound("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound.Flag(0, false);
  style.sort_keys = bound.Flag(3, false);
  if (bound.has(1) && !bound[1].is(Type::kNone)) {
    style.has_indent = true;
    style.item_separator = std::string(1, ',');  // gcc 12 warns wrongly about = ","
    if (bound[1].is(Type::kStr)) {
      style.indent = bound[1].text();
    } else {
      const int64_t width = bound.Number(1, 0);
      Budget::CheckFits(width, 1);
      style.indent.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    }
  }
  if (bound.has(2) && !bound[2].is(Type::kNone)) {
    const std::vector<Value> separators = ToVector(bound[2]);
    if (separators.size() != 2) {
      throw Failure(FailureKind::kValue, "separators must be a pair");
    }
    style.item_separator = ToText(separators[0]);
    style.key_separator = ToText(separators[1]);
  }
  return Value::Text(ToJson(value, style));
}

Value Random(const Value&, Args&) {
  throw Failure(FailureKind::kUnsupported, "the filter random is not supported");
}

Value PrettyPrint(const Value&, Args&) {
  throw Failure(FailureKind::kUnsupported, "the filter pprint is not supported");
}

constexpr NamedFilter kFilters[] = {
    {"abs", &Absolute},        {"attr", &Attribute}, {"default", &Default},
    {"d", &Default},           {"int", &ToInteger},  {"float", &ToFloat},
    {"string", &String},       {"round", &Round},    {"filesizeformat", &FileSize},
    {"tojson", &ToJsonFilter}, {"random", &Random},  {"pprint", &PrettyPrint},
};

}  // namespace

const NamedFilter* FindValueFilter(std::string_view name) {
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return &filter;
  }
  return nullptr;
}

const NamedFilter* FindFilter(std::string_view name) {
  if (const NamedFilter* found = FindValueFilter(name)) return found;
  if (const NamedFilter* found = FindTextFilter(name)) return found;
  if (const NamedFilter* found = FindSequenceFilter(name)) return found;
  return FindSelectionFilter(name);
}

}  // namespace slm::text::jinja
