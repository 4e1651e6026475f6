// Attributes, items, slices and iteration.
#include <algorithm>

#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_loop.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

[[noreturn]] void FailUndefined(const UndefinedValue& undefined) {
  throw Failure(undefined.unsafe ? FailureKind::kSecurity : FailureKind::kUndefined, "{}",
                undefined.message);
}

// jinja2.utils.object_type_repr.
std::string TypeRepr(const Value& value) {
  switch (value.type()) {
    case Type::kNone:
      return "None";
    case Type::kLoop:
    case Type::kMacro:
      return fmt::format("jinja2.runtime.{} object", TypeName(value));
    case Type::kCycler:
    case Type::kJoiner:
      return fmt::format("jinja2.utils.{} object", TypeName(value));
    case Type::kStr:
      if (value.as<Str>().markup) return "markupsafe.Markup object";
      return "str object";
    default:
      return fmt::format("{} object", TypeName(value));
  }
}

Value UndefinedAttribute(const Value& object, std::string_view name) {
  std::string message = Repr(Value::Text(TypeRepr(object))) + " has no attribute ";
  AppendQuoted(&message, name);
  return Value::Undefined(std::move(message));
}

Value NumberAttribute(const Value& number, std::string_view name) {
  const bool integral = number.is_integral();
  const Value plain = integral ? Value::Integer(number.as_int()) : number;
  if (name == "real" || (integral && name == "numerator")) return plain;
  if (name == "imag") return integral ? Value::Integer(0) : Value::Float(0);
  if (integral && name == "denominator") return Value::Integer(1);
  return Value::Missing();
}

Value DataAttribute(const Value& object, std::string_view name) {
  switch (object.type()) {
    case Type::kBool:
    case Type::kInt:
    case Type::kFloat:
      return NumberAttribute(object, name);
    case Type::kTuple:
      if (object.as<Sequence>().is_group) {
        if (name == "grouper") return object.items()[0];
        if (name == "list") return object.items()[1];
      }
      return Value::Missing();
    case Type::kRange: {
      const auto& range = object.as<Range>();
      if (name == "start") return Value::Integer(range.start);
      if (name == "stop") return Value::Integer(range.stop);
      if (name == "step") return Value::Integer(range.step);
      return Value::Missing();
    }
    case Type::kNamespace: {
      const Value* value = object.as<Namespace>().attributes->Find(name);
      return value == nullptr ? Value::Missing() : *value;
    }
    case Type::kLoop:
      return LoopAttribute(object, name);
    case Type::kCycler: {
      const auto& cycler = object.as<Cycler>();
      if (name == "current") return cycler.items[cycler.position];
      if (name == "pos") return Value::Integer(static_cast<Int>(cycler.position));
      if (name == "items") return Value::Tuple(cycler.items);
      return Value::Missing();
    }
    case Type::kJoiner:
      if (name == "sep") return object.as<Joiner>().separator;
      if (name == "used") return Value::Bool(object.as<Joiner>().used);
      return Value::Missing();
    case Type::kMacro:
      return MacroAttribute(object, name);
    default:
      return Value::Missing();
  }
}

// getattr(object, name) under the sandbox: Missing where Python raises AttributeError.
Value RealAttribute(const Value& object, std::string_view name) {
  const bool dunder =
      name.size() > 4 && name.substr(0, 2) == "__" && name.substr(name.size() - 2) == "__";
  if (dunder) {
    std::string message = "access to attribute ";
    AppendQuoted(&message, name);
    message += fmt::format(" of '{}' object is unsafe.", TypeName(object));
    return Value::Undefined(std::move(message), /*unsafe=*/true);
  }
  Value attribute = DataAttribute(object, name);
  return attribute.is(Type::kMissing) ? FindMethod(object, name) : attribute;
}

// The item of a sequence, or Missing where Python raises IndexError or TypeError.
Value SequenceItem(const Value& object, const Value& key) {
  const auto length = TryLength(object);
  if (!length || !key.is_integral()) return Value::Missing();
  Int index = key.as_int();
  if (index < 0) index += *length;
  if (index < 0 || index >= *length) return Value::Missing();
  switch (object.type()) {
    case Type::kStr: {
      const auto& str = object.as<Str>();
      const auto position = static_cast<size_t>(index);
      if (str.ascii()) return Make<Str>(std::string(1, str.text[position]), str.markup);
      size_t begin = CodePointOffset(str.text, position);
      Budget::StepBytes(begin);
      size_t end = begin;
      NextCodePoint(str.text, &end);
      return Make<Str>(str.text.substr(begin, end - begin), str.markup);
    }
    case Type::kList:
    case Type::kTuple:
      return object.items()[static_cast<size_t>(index)];
    case Type::kRange:
      return Value::Integer(object.as<Range>().At(index));
    default:
      return Value::Missing();
  }
}

bool IsHashable(const Value& value) {
  if (value.is(Type::kTuple)) {
    return std::all_of(value.items().begin(), value.items().end(), IsHashable);
  }
  return !value.is(Type::kList) && !value.is(Type::kDict) && !value.is(Type::kDictView);
}

struct SliceBounds {
  Int start;
  Int stop;
  Int step;
  Int count;
};

// slice.indices(length).
SliceBounds ResolveSlice(const Value& start, const Value& stop, const Value& step, Int length) {
  const auto check = [](const Value& value) {
    if (value.is(Type::kNone) || value.is_integral()) return;
    throw Failure(FailureKind::kType,
                  "slice indices must be integers or None or have an __index__ method");
  };
  check(start);
  check(stop);
  check(step);
  const auto clamp64 = [](Int value) { return std::clamp(value, Int{INT64_MIN}, Int{INT64_MAX}); };
  const Int stride = step.is(Type::kNone) ? 1 : clamp64(step.as_int());
  if (stride == 0) throw Failure(FailureKind::kValue, "slice step cannot be zero");
  const Int lowest = stride > 0 ? 0 : -1;
  const Int highest = stride > 0 ? length : length - 1;
  const auto resolve = [&](const Value& value, Int otherwise) {
    if (value.is(Type::kNone)) return otherwise;
    Int index = clamp64(value.as_int());
    if (index < 0) index += length;
    return std::clamp(index, lowest, highest);
  };
  const Int first = resolve(start, stride > 0 ? lowest : highest);
  const Int last = resolve(stop, stride > 0 ? highest : lowest);
  const Int distance = stride > 0 ? last - first : first - last;
  const Int size = stride > 0 ? stride : -stride;
  return {first, last, stride, distance > 0 ? (distance - 1) / size + 1 : 0};
}

Value SliceText(const Value& object, const SliceBounds& bounds) {
  const auto& str = object.as<Str>();
  const auto count = static_cast<size_t>(bounds.count);
  if (count == 0) return Make<Str>(std::string(), str.markup);
  Budget::StepBytes(str.text.size());
  if (bounds.step == 1) {
    const auto first = static_cast<size_t>(bounds.start);
    if (str.ascii()) return Make<Str>(str.text.substr(first, count), str.markup);
    const size_t begin = CodePointOffset(str.text, first);
    const size_t size = CodePointOffset(std::string_view(str.text).substr(begin), count);
    return Make<Str>(str.text.substr(begin, size), str.markup);
  }
  std::vector<size_t> offsets;
  for (size_t pos = 0; pos < str.text.size(); NextCodePoint(str.text, &pos)) {
    offsets.push_back(pos);
  }
  std::string out;
  for (Int i = 0; i < bounds.count; ++i) {
    size_t pos = offsets[static_cast<size_t>(bounds.start + i * bounds.step)];
    const size_t begin = pos;
    NextCodePoint(str.text, &pos);
    out.append(str.text, begin, pos - begin);
  }
  return Make<Str>(std::move(out), str.markup);
}

// The iterator of what has a length: the n-th item by a function.
class IndexIterator : public Iterator {
 public:
  explicit IndexIterator(Value container)
      : Iterator("iterator"), container_(std::move(container)) {}

  bool Next(Value* item) override {
    Budget::Step();
    switch (container_.type()) {
      case Type::kStr:
        return NextText(item);
      case Type::kList:
      case Type::kTuple:
        if (index_ >= container_.items().size()) return false;
        *item = container_.items()[index_++];
        return true;
      case Type::kRange:
        if (static_cast<Int>(index_) >= container_.as<Range>().length) return false;
        *item = Value::Integer(container_.as<Range>().At(static_cast<Int>(index_++)));
        return true;
      case Type::kDict:
        return NextEntry(container_.as<Dict>(), DictViewKind::kKeys, item);
      case Type::kDictView:
        return NextEntry(*container_.as<DictView>().dict, container_.as<DictView>().kind, item);
      default:
        return false;
    }
  }

 private:
  bool NextText(Value* item) {
    const auto& str = container_.as<Str>();
    if (index_ >= str.text.size()) return false;
    const size_t begin = index_;
    NextCodePoint(str.text, &index_);
    *item = Make<Str>(str.text.substr(begin, index_ - begin), false);
    return true;
  }

  bool NextEntry(const Dict& dict, DictViewKind kind, Value* item) {
    if (index_ >= dict.entries().size()) return false;
    const auto& [key, value] = dict.entries()[index_++];
    *item = kind == DictViewKind::kKeys     ? key
            : kind == DictViewKind::kValues ? value
                                            : Value::Tuple({key, value});
    return true;
  }

  const Value container_;
  size_t index_ = 0;
};

}  // namespace

Value GetAttribute(const Value& object, std::string_view name) {
  if (object.is(Type::kUndefined)) FailUndefined(object.as<UndefinedValue>());
  Value attribute = RealAttribute(object, name);
  if (!attribute.is(Type::kMissing)) return attribute;
  if (object.is(Type::kDict)) {
    if (const Value* found = object.as<Dict>().Find(name)) return *found;
  }
  return UndefinedAttribute(object, name);
}

Value GetItem(const Value& object, const Value& key) {
  if (object.is(Type::kUndefined)) FailUndefined(object.as<UndefinedValue>());
  if (object.is(Type::kDict)) {
    if (IsHashable(key)) {
      if (const Value* found = object.as<Dict>().Find(key)) return *found;
    }
  } else {
    Value item = SequenceItem(object, key);
    if (!item.is(Type::kMissing)) return item;
  }
  if (key.is(Type::kStr)) {
    Value attribute = RealAttribute(object, key.text());
    if (!attribute.is(Type::kMissing)) return attribute;
    return UndefinedAttribute(object, key.text());
  }
  return Value::Undefined(fmt::format("{} has no element {}", TypeRepr(object), Repr(key)));
}

Value GetSlice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  switch (object.type()) {
    case Type::kUndefined:
      FailUndefined(object.as<UndefinedValue>());
    case Type::kStr:
    case Type::kList:
    case Type::kTuple:
    case Type::kRange:
      break;
    case Type::kDict:
      throw Failure(FailureKind::kType, "unhashable type: 'slice'");
    default:
      throw Failure(FailureKind::kType, "'{}' object is not subscriptable", TypeName(object));
  }
  const SliceBounds bounds = ResolveSlice(start, stop, step, Length(object));
  if (object.is(Type::kStr)) return SliceText(object, bounds);
  if (object.is(Type::kRange)) {
    const auto& range = object.as<Range>();
    return Make<Range>(range.At(bounds.start), range.At(bounds.stop), range.step * bounds.step);
  }
  Budget::Step(static_cast<int64_t>(bounds.count));
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(bounds.count));
  for (Int i = 0; i < bounds.count; ++i) {
    out.push_back(object.items()[static_cast<size_t>(bounds.start + i * bounds.step)]);
  }
  return Make<Sequence>(object.type(), std::move(out));
}

bool IsIterable(const Value& value) {
  return TryLength(value).has_value() || value.is(Type::kIterator) || value.is(Type::kLoop);
}

Ref<Iterator> Iterate(const Value& value) {
  if (value.is(Type::kIterator)) return Ref<Iterator>(&value.as<Iterator>());
  if (value.is(Type::kLoop)) return IterateLoop(value);
  if (!IsIterable(value)) {
    throw Failure(FailureKind::kType, "'{}' object is not iterable", TypeName(value));
  }
  return Make<IndexIterator>(value);
}

std::vector<Value> ToVector(const Value& iterable) {
  if (iterable.is(Type::kList) || iterable.is(Type::kTuple)) {
    Budget::Step(static_cast<int64_t>(iterable.items().size()));
    return iterable.items();
  }
  const Ref<Iterator> iterator = Iterate(iterable);
  std::vector<Value> out;
  Value item;
  while (iterator->Next(&item)) {
    Budget::CheckFits(static_cast<int64_t>(out.size()), sizeof(Value));
    out.push_back(item);
  }
  return out;
}

}  // namespace slm::text::jinja
