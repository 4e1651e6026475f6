// Methods of list, tuple, dict, range, numbers, cycler: everything but str. Those that would change
// their object are there, but unsafe to touch, as in jinja2's immutable sandbox.
#include "text/jinja_methods.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "text/jinja_args.h"
#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_operators.h"

namespace slm::text::jinja {
namespace {

Value ListCount(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("count", args, {"value"}, 1);
  const std::vector<Value> items = ToVector(self);
  return Value::Integer(std::count_if(items.begin(), items.end(),
                                      [&](const Value& item) { return Equal(item, bound[0]); }));
}

Value ListIndex(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("index", args, {"value", "start", "stop"}, 1);
  const std::vector<Value> items = ToVector(self);
  const auto size = static_cast<int64_t>(items.size());
  const auto clamp = [size](int64_t index) {
    return std::clamp(index < 0 ? index + size : index, int64_t{0}, size);
  };
  const int64_t stop = clamp(bound.Number(2, size));
  for (int64_t i = clamp(bound.Number(1, 0)); i < stop; ++i) {
    if (Equal(items[static_cast<size_t>(i)], bound[0])) return Value::Integer(i);
  }
  if (self.is(Type::kTuple)) {
    throw Failure(FailureKind::kValue, "tuple.index(x): x not in tuple");
  }
  throw Failure(FailureKind::kValue, "{} is not in {}", Repr(bound[0]), TypeName(self));
}

Value ListCopy(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("copy", args);
  return Value::List(self.items());
}

Value DictGet(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("get", args, {"key", "default"}, 1);
  if (const Value* found = self.as<Dict>().Find(bound[0])) return *found;
  return bound.has(1) ? bound[1] : Value();
}

Value View(const Value& self, DictViewKind kind) {
  return Make<DictView>(Ref<Dict>(&self.as<Dict>()), kind);
}

Value DictKeys(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("keys", args);
  return View(self, DictViewKind::kKeys);
}

Value DictValues(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("values", args);
  return View(self, DictViewKind::kValues);
}

Value DictItems(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("items", args);
  return View(self, DictViewKind::kItems);
}

Value DictCopy(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("copy", args);
  const Ref<Dict> copy = Make<Dict>();
  for (const auto& [key, value] : self.as<Dict>().entries()) copy->Set(key, value);
  return copy;
}

Value CyclerNext(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("next", args);
  auto& cycler = self.as<Cycler>();
  const Value item = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return item;
}

Value CyclerReset(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("reset", args);
  self.as<Cycler>().position = 0;
  return Value();
}

Value BitLength(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("bit_length", args);
  Int bits = 0;
  for (Int rest = self.as_int(); rest != 0; rest /= 2) ++bits;
  return Value::Integer(bits);
}

Value IsInteger(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("is_integer", args);
  return Value::Bool(std::isfinite(self.as_float()) &&
                     self.as_float() == std::floor(self.as_float()));
}

constexpr NamedFunction kListMethods[] = {
    {"count", &ListCount}, {"index", &ListIndex}, {"copy", &ListCopy}};
constexpr NamedFunction kTupleMethods[] = {{"count", &ListCount}, {"index", &ListIndex}};
constexpr NamedFunction kDictMethods[] = {{"get", &DictGet},
                                          {"keys", &DictKeys},
                                          {"values", &DictValues},
                                          {"items", &DictItems},
                                          {"copy", &DictCopy}};
constexpr NamedFunction kCyclerMethods[] = {{"next", &CyclerNext}, {"reset", &CyclerReset}};
constexpr NamedFunction kIntMethods[] = {{"bit_length", &BitLength}};
constexpr NamedFunction kFloatMethods[] = {{"is_integer", &IsInteger}};

constexpr std::string_view kListMutators[] = {"append", "clear", "pop",    "reverse",
                                              "insert", "sort",  "extend", "remove"};
constexpr std::string_view kDictMutators[] = {"clear", "pop", "popitem", "setdefault", "update"};

template <size_t N>
Value FindIn(const NamedFunction (&table)[N], const Value& object, std::string_view name) {
  const NamedFunction* found = FindByName(table, name);
  return found == nullptr ? Value::Missing()
                          : Value(Make<Function>(found->name, found->code, object));
}

template <size_t N>
bool IsOneOf(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

Value FindMethod(const Value& object, std::string_view name) {
  const bool mutator = (object.is(Type::kList) && IsOneOf(kListMutators, name)) ||
                       (object.is(Type::kDict) && IsOneOf(kDictMutators, name));
  if (mutator) {
    return Value::Undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, TypeName(object)),
        /*unsafe=*/true);
  }
  switch (object.type()) {
    case Type::kStr:
      return FindTextMethod(object, name);
    case Type::kList:
      return FindIn(kListMethods, object, name);
    case Type::kTuple:
    case Type::kRange:
      return FindIn(kTupleMethods, object, name);
    case Type::kDict:
      return FindIn(kDictMethods, object, name);
    case Type::kCycler:
      return FindIn(kCyclerMethods, object, name);
    case Type::kBool:
    case Type::kInt:
      return FindIn(kIntMethods, object, name);
    case Type::kFloat:
      return FindIn(kFloatMethods, object, name);
    case Type::kFunction:
      return FindFunctionAttribute(object, name);
    default:
      return Value::Missing();
  }
}

}  // namespace slm::text::jinja
