#include "text/jinja_operators.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

[[noreturn]] void FailUndefined(const Value& value) {
  const auto& undefined = value.as<UndefinedValue>();
  throw Failure(undefined.unsafe ? FailureKind::kSecurity : FailureKind::kUndefined, "{}",
                undefined.message);
}

[[noreturn]] void FailOperands(const char* op, const Value& a, const Value& b) {
  throw Failure(FailureKind::kType, "unsupported operand type(s) for {}: '{}' and '{}'", op,
                TypeName(a), TypeName(b));
}

[[noreturn]] void FailOverflow() {
  throw Failure(FailureKind::kOverflow, "an integer has more than 127 bits");
}

Int CheckedSub(Int a, Int b) {
  Int result;
  if (__builtin_sub_overflow(a, b, &result)) FailOverflow();
  return result;
}

Value Repeat(const Value& sequence, const Value& times) {
  const Int count = std::max(Int{0}, times.as_int());
  const auto narrow = static_cast<int64_t>(std::min(count, Int{INT64_MAX}));
  if (sequence.is(Type::kStr)) {
    const std::string& text = sequence.text();
    Budget::CheckFits(narrow, static_cast<int64_t>(text.size()));
    std::string out;
    if (!text.empty()) {
      out.reserve(text.size() * static_cast<size_t>(narrow));
      for (int64_t i = 0; i < narrow; ++i) out += text;
    }
    return Make<Str>(std::move(out), sequence.as<Str>().markup);
  }
  const std::vector<Value>& items = sequence.items();
  Budget::CheckFits(narrow, static_cast<int64_t>(items.size() * sizeof(Value)));
  std::vector<Value> out;
  if (!items.empty()) {
    for (int64_t i = 0; i < narrow; ++i) out.insert(out.end(), items.begin(), items.end());
  }
  return Make<Sequence>(sequence.type(), std::move(out));
}

Value Concatenate(const Value& a, const Value& b) {
  if (a.is(Type::kStr)) {
    const bool markup = a.as<Str>().markup || b.as<Str>().markup;
    const std::string left = markup ? Escape(a) : std::string();
    const std::string right = markup ? Escape(b) : std::string();
    const std::string& left_text = markup ? left : a.text();
    const std::string& right_text = markup ? right : b.text();
    Budget::CheckFits(static_cast<int64_t>(left_text.size() + right_text.size()), 1);
    std::string out;
    out.reserve(left_text.size() + right_text.size());
    out += left_text;
    out += right_text;
    return Make<Str>(std::move(out), markup);
  }
  Budget::CheckFits(static_cast<int64_t>(a.items().size() + b.items().size()), sizeof(Value));
  std::vector<Value> out = a.items();
  out.insert(out.end(), b.items().begin(), b.items().end());
  return Make<Sequence>(a.type(), std::move(out));
}

Int FloorDivide(Int a, Int b) {
  if (b == 0) {
    throw Failure(FailureKind::kZeroDivision, "integer division or modulo by zero");
  }
  if (b == -1) return CheckedSub(0, a);
  const Int quotient = a / b;
  return quotient * b != a && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

double FloorModulo(double a, double b) {
  if (b == 0) throw Failure(FailureKind::kZeroDivision, "float modulo");
  double result = std::fmod(a, b);
  if (result != 0 && (result < 0) != (b < 0)) result += b;
  return result == 0 ? std::copysign(0.0, b) : result;
}

double FloorDivide(double a, double b) {
  if (b == 0) throw Failure(FailureKind::kZeroDivision, "float floor division by zero");
  const double quotient = (a - FloorModulo(a, b)) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

Value Power(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral() && b.as_int() >= 0) {
    Int result = 1;
    Int base = a.as_int();
    for (Int exponent = b.as_int(); exponent > 0;) {
      if (exponent & 1) result = CheckedMul(result, base);
      exponent >>= 1;
      // 0, 1 and -1 have any power; others overflow within seven squarings.
      if (exponent > 0) base = CheckedMul(base, base);
    }
    return Value::Integer(result);
  }
  const double base = ToDouble(a);
  const double exponent = ToDouble(b);
  if (base == 0 && exponent < 0) {
    throw Failure(FailureKind::kZeroDivision, "0.0 cannot be raised to a negative power");
  }
  if (base < 0 && std::isfinite(exponent) && exponent != std::floor(exponent)) {
    throw Failure(FailureKind::kUnsupported, "complex numbers are not supported");
  }
  const double result = std::pow(base, exponent);
  if (std::isinf(result) && std::isfinite(base) && std::isfinite(exponent)) {
    throw Failure(FailureKind::kOverflow, "(34, 'Numerical result out of range')");
  }
  return Value::Float(result);
}

Value IntegerArithmetic(BinaryOp op, Int a, Int b) {
  switch (op) {
    case BinaryOp::kAdd:
      return Value::Integer(CheckedAdd(a, b));
    case BinaryOp::kSub:
      return Value::Integer(CheckedSub(a, b));
    case BinaryOp::kMul:
      return Value::Integer(CheckedMul(a, b));
    case BinaryOp::kFloorDiv:
      return Value::Integer(FloorDivide(a, b));
    default:
      return Value::Integer(b == -1 ? 0 : CheckedSub(a, FloorDivide(a, b) * b));
  }
}

Value FloatArithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return Value::Float(a + b);
    case BinaryOp::kSub:
      return Value::Float(a - b);
    case BinaryOp::kMul:
      return Value::Float(a * b);
    case BinaryOp::kFloorDiv:
      return Value::Float(FloorDivide(a, b));
    case BinaryOp::kMod:
      return Value::Float(FloorModulo(a, b));
    default:
      if (b == 0) throw Failure(FailureKind::kZeroDivision, "division by zero");
      return Value::Float(a / b);
  }
}

const char* Symbol(BinaryOp op) {
  constexpr const char* kSymbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};
  return kSymbols[static_cast<int>(op)];
}

bool IsSequence(const Value& value) {
  return value.is(Type::kStr) || value.is(Type::kList) || value.is(Type::kTuple);
}

// -1, 0, 1; 2 when unordered (NaN).
int CompareNumbers(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) {
    return a.as_int() < b.as_int() ? -1 : a.as_int() > b.as_int() ? 1 : 0;
  }
  if (a.is(Type::kFloat) && b.is(Type::kFloat)) {
    const double x = a.as_float();
    const double y = b.as_float();
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
  }
  if (a.is(Type::kFloat)) {
    const int reversed = CompareNumbers(b, a);
    return reversed == 2 ? 2 : -reversed;
  }
  const double y = b.as_float();
  if (std::isnan(y)) return 2;
  if (y >= 0x1p126) return -1;
  if (y <= -0x1p126) return 1;
  const auto whole = static_cast<Int>(y);  // exact comparison needs no rounding of the integer
  if (a.as_int() != whole) return a.as_int() < whole ? -1 : 1;
  const double fraction = y - static_cast<double>(whole);
  return fraction > 0 ? -1 : fraction < 0 ? 1 : 0;
}

bool EqualDicts(const Dict& a, const Dict& b) {
  if (a.entries().size() != b.entries().size()) return false;
  for (const auto& [key, value] : a.entries()) {
    const Value* other = b.Find(key);
    if (other == nullptr || !Equal(value, *other)) return false;
  }
  return true;
}

bool EqualRanges(const Range& a, const Range& b) {
  if (a.length != b.length) return false;
  if (a.length == 0) return true;
  return a.start == b.start && (a.length == 1 || a.step == b.step);
}

}  // namespace

Int CheckedAdd(Int a, Int b) {
  Int result;
  if (__builtin_add_overflow(a, b, &result)) FailOverflow();
  return result;
}

Int CheckedMul(Int a, Int b) {
  Int result;
  if (__builtin_mul_overflow(a, b, &result)) FailOverflow();
  return result;
}

std::string_view TypeName(const Value& value) {
  switch (value.type()) {
    case Type::kMissing:
      return "missing";
    case Type::kNone:
      return "NoneType";
    case Type::kBool:
      return "bool";
    case Type::kInt:
      return "int";
    case Type::kFloat:
      return "float";
    case Type::kUndefined:
      return "Undefined";
    case Type::kStr:
      return value.as<Str>().markup ? "Markup" : "str";
    case Type::kList:
      return "list";
    case Type::kTuple:
      return value.as<Sequence>().is_group ? "_GroupTuple" : "tuple";
    case Type::kDict:
      return "dict";
    case Type::kRange:
      return "range";
    case Type::kDictView: {
      constexpr const char* kNames[] = {"dict_keys", "dict_values", "dict_items"};
      return kNames[static_cast<int>(value.as<DictView>().kind)];
    }
    case Type::kIterator:
      return value.as<Iterator>().python_type();
    case Type::kFunction:
      return "function";
    case Type::kNamespace:
      return "TemplateNamespace";
    case Type::kMacro:
      return "Macro";
    case Type::kLoop:
      return "LoopContext";
    case Type::kCycler:
      return "Cycler";
    case Type::kJoiner:
      return "Joiner";
    case Type::kFrame:
      break;
  }
  return "object";
}

bool IsTrue(const Value& value) {
  switch (value.type()) {
    case Type::kMissing:
    case Type::kNone:
    case Type::kUndefined:
      return false;
    case Type::kBool:
      return value.as_bool();
    case Type::kInt:
      return value.as_int() != 0;
    case Type::kFloat:
      return value.as_float() != 0;
    default:
      if (const auto length = TryLength(value)) return *length != 0;
      return true;
  }
}

bool Equal(const Value& a, const Value& b) {
  Budget::Step();
  if (a.is_number() && b.is_number()) return CompareNumbers(a, b) == 0;
  if (a.type() != b.type()) return false;
  if (a.is_object() && a.object() == b.object()) return true;
  switch (a.type()) {
    case Type::kNone:
    case Type::kUndefined:
      return true;
    case Type::kStr:
      if (a.text().size() != b.text().size()) return false;
      Budget::StepBytes(a.text().size());
      return a.text() == b.text();
    case Type::kList:
    case Type::kTuple: {
      const auto& x = a.items();
      const auto& y = b.items();
      return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin(), Equal);
    }
    case Type::kDict:
      return EqualDicts(a.as<Dict>(), b.as<Dict>());
    case Type::kRange:
      return EqualRanges(a.as<Range>(), b.as<Range>());
    case Type::kDictView: {
      const auto& x = a.as<DictView>();
      const auto& y = b.as<DictView>();
      if (x.kind != y.kind || x.kind == DictViewKind::kValues) return false;
      if (x.kind == DictViewKind::kItems) return EqualDicts(*x.dict, *y.dict);
      return x.dict->entries().size() == y.dict->entries().size() &&
             std::all_of(x.dict->entries().begin(), x.dict->entries().end(),
                         [&](const auto& entry) { return y.dict->Find(entry.first) != nullptr; });
    }
    case Type::kFunction: {
      const auto& x = a.as<Function>();
      const auto& y = b.as<Function>();
      return x.code == y.code && Same(x.self, y.self);
    }
    default:
      return false;
  }
}

bool Same(const Value& a, const Value& b) {
  if (a.type() != b.type()) return false;
  switch (a.type()) {
    case Type::kStr:  // CPython interns what looks like an identifier, which nobody may rely on
    case Type::kInt:
    case Type::kBool:
    case Type::kFloat:
      return Equal(a, b);
    case Type::kNone:
      return true;
    case Type::kTuple:
      return a.object() == b.object() || (a.items().empty() && b.items().empty());
    default:
      return a.object() == b.object();
  }
}

bool Less(const Value& a, const Value& b, const char* op) {
  Budget::Step();
  if (a.is_number() && b.is_number()) return CompareNumbers(a, b) == -1;
  if (a.is(Type::kUndefined)) FailUndefined(a);
  if (b.is(Type::kUndefined)) FailUndefined(b);
  if (a.type() == b.type() && a.is(Type::kStr)) {
    Budget::StepBytes(std::min(a.text().size(), b.text().size()));
    return a.text() < b.text();  // UTF-8 sorts like code points
  }
  if (a.type() == b.type() && (a.is(Type::kList) || a.is(Type::kTuple))) {
    const auto& x = a.items();
    const auto& y = b.items();
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!Equal(x[i], y[i])) return Less(x[i], y[i], op);
    }
    return x.size() < y.size();
  }
  // The operands of > and >= come here swapped.
  const bool swapped = op[0] == '>';
  throw Failure(FailureKind::kType, "'{}' not supported between instances of '{}' and '{}'", op,
                TypeName(swapped ? b : a), TypeName(swapped ? a : b));
}

Value Apply(BinaryOp op, const Value& a, const Value& b) {
  Budget::Step();
  if (op == BinaryOp::kMod && a.is(Type::kStr)) {
    return Make<Str>(FormatPercent(a, b), a.as<Str>().markup);
  }
  if (a.is(Type::kUndefined)) FailUndefined(a);
  if (b.is(Type::kUndefined)) FailUndefined(b);
  if (a.is_number() && b.is_number()) {
    if (op == BinaryOp::kPow) return Power(a, b);
    if (op != BinaryOp::kDiv && a.is_integral() && b.is_integral()) {
      return IntegerArithmetic(op, a.as_int(), b.as_int());
    }
    return FloatArithmetic(op, ToDouble(a), ToDouble(b));
  }
  if (op == BinaryOp::kAdd && IsSequence(a)) {
    if (a.type() == b.type()) return Concatenate(a, b);
    throw Failure(FailureKind::kType, "can only concatenate {} (not \"{}\") to {}", TypeName(a),
                  TypeName(b), TypeName(a));
  }
  if (op == BinaryOp::kMul) {
    if (IsSequence(a) && b.is_integral()) return Repeat(a, b);
    if (IsSequence(b) && a.is_integral()) return Repeat(b, a);
    if (IsSequence(a) || IsSequence(b)) {
      throw Failure(FailureKind::kType, "can't multiply sequence by non-int of type '{}'",
                    TypeName(IsSequence(a) ? b : a));
    }
  }
  FailOperands(Symbol(op), a, b);
}

Value Negate(const Value& value) {
  if (value.is(Type::kUndefined)) FailUndefined(value);
  if (value.is_integral()) return Value::Integer(CheckedSub(0, value.as_int()));
  if (value.is(Type::kFloat)) return Value::Float(-value.as_float());
  throw Failure(FailureKind::kType, "bad operand type for unary -: '{}'", TypeName(value));
}

Value Plus(const Value& value) {
  if (value.is(Type::kUndefined)) FailUndefined(value);
  if (value.is_integral()) return Value::Integer(value.as_int());
  if (value.is(Type::kFloat)) return value;
  throw Failure(FailureKind::kType, "bad operand type for unary +: '{}'", TypeName(value));
}

bool Contains(const Value& container, const Value& item) {
  switch (container.type()) {
    case Type::kStr:
      if (!item.is(Type::kStr)) {
        throw Failure(FailureKind::kType, "'in <string>' requires string as left operand, not {}",
                      TypeName(item));
      }
      return FindText(container.text(), item.text()) != std::string::npos;
    case Type::kDict:
      return container.as<Dict>().Find(item) != nullptr;
    case Type::kRange: {
      const auto& range = container.as<Range>();
      for (Int i = 0; !item.is_integral() && i < range.length; ++i) {
        if (Equal(Value::Integer(range.At(i)), item)) return true;
      }
      if (!item.is_integral() || range.length == 0) return false;
      const Int offset = item.as_int() - range.start;
      return offset % range.step == 0 && offset / range.step >= 0 &&
             offset / range.step < range.length;
    }
    case Type::kDictView:
      if (container.as<DictView>().kind == DictViewKind::kKeys) {
        return container.as<DictView>().dict->Find(item) != nullptr;
      }
      break;
    default:
      break;
  }
  if (!IsIterable(container)) {
    throw Failure(FailureKind::kType, "argument of type '{}' is not iterable", TypeName(container));
  }
  if (container.is(Type::kList) || container.is(Type::kTuple)) {
    const auto& items = container.items();
    return std::any_of(items.begin(), items.end(),
                       [&](const Value& other) { return Equal(other, item); });
  }
  const Ref<Iterator> iterator = Iterate(container);
  Value other;
  while (iterator->Next(&other)) {
    if (Equal(other, item)) return true;
  }
  return false;
}

std::optional<Int> TryLength(const Value& value) {
  switch (value.type()) {
    case Type::kUndefined:
      return 0;
    case Type::kStr:
      return static_cast<Int>(value.as<Str>().length);
    case Type::kList:
    case Type::kTuple:
      return static_cast<Int>(value.items().size());
    case Type::kDict:
      return static_cast<Int>(value.as<Dict>().entries().size());
    case Type::kRange:
      return value.as<Range>().length;
    case Type::kDictView:
      return static_cast<Int>(value.as<DictView>().dict->entries().size());
    default:
      return std::nullopt;
  }
}

Int Length(const Value& value) {
  if (const auto length = TryLength(value)) return *length;
  if (value.is(Type::kLoop)) return ToIndex(GetAttribute(value, "length"));
  throw Failure(FailureKind::kType, "object of type '{}' has no len()", TypeName(value));
}

Int ToIndex(const Value& value) {
  if (value.is(Type::kUndefined)) FailUndefined(value);
  if (value.is_integral()) return value.as_int();
  throw Failure(FailureKind::kType, "'{}' object cannot be interpreted as an integer",
                TypeName(value));
}

int64_t ToInt64(const Value& value) {
  return static_cast<int64_t>(std::clamp(ToIndex(value), Int{INT64_MIN}, Int{INT64_MAX}));
}

double ToDouble(const Value& value) {
  return value.is(Type::kFloat) ? value.as_float() : static_cast<double>(value.as_int());
}

std::vector<size_t> SortedOrder(const std::vector<Value>& keys, bool reverse) {
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // Merges bottom up. Pitfall: std::stable_sort may leave its bounds when keys do not have a strict
  // weak order, and NaN is enough for that.
  std::vector<size_t> merged(order.size());
  for (size_t width = 1; width < order.size(); width *= 2) {
    for (size_t begin = 0; begin < order.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, order.size());
      const size_t end = std::min(begin + 2 * width, order.size());
      size_t left = begin;
      size_t right = middle;
      for (size_t to = begin; to < end; ++to) {
        const bool take_right =
            left == middle ||
            (right < end && (reverse ? Less(keys[order[left]], keys[order[right]])
                                     : Less(keys[order[right]], keys[order[left]])));
        merged[to] = order[take_right ? right++ : left++];
      }
    }
    order.swap(merged);
  }
  return order;
}

}  // namespace slm::text::jinja
