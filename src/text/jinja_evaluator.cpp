// The interpreter's expressions and calls.
#include <algorithm>

#include "text/jinja_budget.h"
#include "text/jinja_builtins.h"
#include "text/jinja_failure.h"
#include "text/jinja_interpreter.h"
#include "text/jinja_loop.h"
#include "text/jinja_macro.h"
#include "text/jinja_operators.h"

namespace slm::text::jinja {
namespace {

bool Compare(Comparison comparison, const Value& a, const Value& b) {
  switch (comparison) {
    case Comparison::kEq:
      return Equal(a, b);
    case Comparison::kNe:
      return !Equal(a, b);
    case Comparison::kLt:
      return Less(a, b, "<");
    case Comparison::kLe:
      return Less(a, b, "<=") || Equal(a, b);
    case Comparison::kGt:
      return Less(b, a, ">");
    case Comparison::kGe:
      return Less(b, a, ">=") || Equal(a, b);
    case Comparison::kIn:
      return Contains(b, a);
    case Comparison::kNotIn:
      return !Contains(b, a);
  }
  return false;
}

}  // namespace

Value Interpreter::Evaluate(const Expression& node, Frame& frame) {
  const Budget::Depth depth;
  Budget::Step();
  line_ = node.line;
  const auto item = [&](size_t index) { return Evaluate(*node.items[index], frame); };
  switch (node.kind) {
    case ExpressionKind::kConstant:
      return node.value;
    case ExpressionKind::kName:
    case ExpressionKind::kNamespaceRef: {
      const Value& value = At(node.place, frame);
      if (!value.is(Type::kMissing)) return value;
      return Value::Undefined(fmt::format("'{}' is undefined", node.name));
    }
    case ExpressionKind::kTuple:
      return Value::Tuple(EvaluateItems(node, frame));
    case ExpressionKind::kList:
      return Value::List(EvaluateItems(node, frame));
    case ExpressionKind::kDict:
      return EvaluateDict(node, frame);
    case ExpressionKind::kConditional:
      return EvaluateConditional(node, frame);
    case ExpressionKind::kOr: {
      Value left = item(0);
      return IsTrue(left) ? left : item(1);
    }
    case ExpressionKind::kAnd: {
      Value left = item(0);
      return IsTrue(left) ? item(1) : left;
    }
    case ExpressionKind::kNot:
      return Value::Bool(!IsTrue(item(0)));
    case ExpressionKind::kCompare:
      return Value::Bool(EvaluateCompare(node, frame));
    case ExpressionKind::kBinary:
      return EvaluateBinary(node, frame);
    case ExpressionKind::kConcat:
      return EvaluateConcat(node, frame);
    case ExpressionKind::kNegate:
      return Negate(item(0));
    case ExpressionKind::kPlus:
      return Plus(item(0));
    case ExpressionKind::kAttribute:
      return GetAttribute(item(0), node.name);
    case ExpressionKind::kItem: {
      const Value object = item(0);
      return GetItem(object, item(1));
    }
    case ExpressionKind::kSlice:
      return EvaluateSlice(node, frame);
    case ExpressionKind::kCall:
      return EvaluateCall(node, frame, nullptr);
    case ExpressionKind::kFilter:
      return EvaluateFilter(node, frame, nullptr);
    case ExpressionKind::kTest:
      return EvaluateTest(node, frame);
  }
  return Value();
}

std::vector<Value> Interpreter::EvaluateItems(const Expression& node, Frame& frame) {
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const ExpressionPtr& item : node.items) items.push_back(Evaluate(*item, frame));
  return items;
}

Value Interpreter::EvaluateBinary(const Expression& node, Frame& frame) {
  const Value left = Evaluate(*node.items[0], frame);
  const Value right = Evaluate(*node.items[1], frame);
  return Apply(node.binary, left, right);
}

Value Interpreter::EvaluateConcat(const Expression& node, Frame& frame) {
  std::string out;
  for (const ExpressionPtr& item : node.items) {
    out += ToText(Evaluate(*item, frame));
    Budget::CheckFits(static_cast<int64_t>(out.size()), 1);
  }
  return Value::Text(std::move(out));
}

Value Interpreter::EvaluateDict(const Expression& node, Frame& frame) {
  const Ref<Dict> dict = Make<Dict>();
  for (size_t i = 0; i < node.items.size(); i += 2) {
    const Value key = Evaluate(*node.items[i], frame);
    dict->Set(key, Evaluate(*node.items[i + 1], frame));
  }
  return dict;
}

Value Interpreter::EvaluateConditional(const Expression& node, Frame& frame) {
  if (IsTrue(Evaluate(*node.items[0], frame))) return Evaluate(*node.items[1], frame);
  if (node.items.size() > 2) return Evaluate(*node.items[2], frame);
  return Value::Undefined(
      fmt::format("the inline if-expression on line {} evaluated to false and no else section was "
                  "defined.",
                  node.line));
}

Value Interpreter::EvaluateSlice(const Expression& node, Frame& frame) {
  Value bounds[3];  // None where absent
  const Value object = Evaluate(*node.items[0], frame);
  for (size_t i = 0; i < 3; ++i) {
    if (node.items[i + 1]) bounds[i] = Evaluate(*node.items[i + 1], frame);
  }
  return GetSlice(object, bounds[0], bounds[1], bounds[2]);
}

bool Interpreter::EvaluateCompare(const Expression& node, Frame& frame) {
  Value left = Evaluate(*node.items[0], frame);
  for (size_t i = 0; i < node.comparisons.size(); ++i) {
    Value right = Evaluate(*node.items[i + 1], frame);
    if (!Compare(node.comparisons[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::EvaluateTest(const Expression& node, Frame& frame) {
  const Value subject = Evaluate(*node.items[0], frame);
  Args args = EvaluateArguments(node.arguments, frame);
  if (node.test == nullptr) {
    throw Failure(FailureKind::kRuntime, "No test named '{}' found.", node.name);
  }
  line_ = node.line;
  return Value::Bool(node.test->holds(subject, args));
}

Value Interpreter::EvaluateFilter(const Expression& node, Frame& frame, const Value* captured) {
  const Budget::Depth depth;
  Value subject;
  if (!node.items[0]) {
    subject = *captured;
  } else if (captured != nullptr) {
    subject = EvaluateFilter(*node.items[0], frame, captured);
  } else {
    subject = Evaluate(*node.items[0], frame);
  }
  Args args = EvaluateArguments(node.arguments, frame);
  if (node.filter == nullptr) {
    throw Failure(FailureKind::kRuntime, "No filter named '{}' found.", node.name);
  }
  line_ = node.line;
  return node.filter->apply(subject, args);
}

Args Interpreter::EvaluateArguments(const Arguments& arguments, Frame& frame) {
  Args args;
  args.positional.reserve(arguments.positional.size());
  for (const ExpressionPtr& item : arguments.positional) {
    args.positional.push_back(Evaluate(*item, frame));
  }
  for (const auto& [name, item] : arguments.named) {
    args.named.emplace_back(name, Evaluate(*item, frame));
  }
  if (arguments.splat) {
    const std::vector<Value> more = ToVector(Evaluate(*arguments.splat, frame));
    args.positional.insert(args.positional.end(), more.begin(), more.end());
  }
  if (arguments.double_splat) {
    const Value more = Evaluate(*arguments.double_splat, frame);
    if (!more.is(Type::kDict)) {
      throw Failure(FailureKind::kType, "argument after ** must be a mapping, not {}",
                    TypeName(more));
    }
    for (const auto& [key, value] : more.as<Dict>().entries()) {
      if (!key.is(Type::kStr)) throw Failure(FailureKind::kType, "keywords must be strings");
      const std::string& name = key.text();
      const auto same = [&](const auto& argument) { return argument.first == name; };
      if (std::any_of(args.named.begin(), args.named.end(), same)) {
        throw Failure(FailureKind::kType, "got multiple values for keyword argument '{}'", name);
      }
      args.named.emplace_back(name, value);
    }
  }
  return args;
}

Value Interpreter::EvaluateCall(const Expression& node, Frame& frame, const Value* caller) {
  const Value callee = Evaluate(*node.items[0], frame);
  Args args = EvaluateArguments(node.arguments, frame);
  if (caller != nullptr) args.named.emplace_back("caller", *caller);
  line_ = node.line;
  return Call(callee, std::move(args));
}

Value Interpreter::Call(const Value& callee, Args args) {
  switch (callee.type()) {
    case Type::kFunction: {
      const auto& function = callee.as<Function>();
      return function.code(options_, function.self, args);
    }
    case Type::kMacro:
      return CallMacro(callee, std::move(args));
    case Type::kLoop:
      return CallLoop(callee, std::move(args));
    case Type::kJoiner: {
      auto& joiner = callee.as<Joiner>();
      return std::exchange(joiner.used, true) ? joiner.separator : Value::Text("");
    }
    case Type::kUndefined: {
      const auto& undefined = callee.as<UndefinedValue>();
      throw Failure(undefined.unsafe ? FailureKind::kSecurity : FailureKind::kUndefined, "{}",
                    undefined.message);
    }
    default:
      throw Failure(FailureKind::kType, "'{}' object is not callable", TypeName(callee));
  }
}

Value Interpreter::CallLoop(const Value& callee, Args args) {
  const auto& loop = callee.as<Loop>();
  if (loop.statement == nullptr) {
    throw Failure(FailureKind::kType,
                  "The loop must have the 'recursive' marker to be called recursively.");
  }
  if (args.positional.size() != 1 || !args.named.empty()) {
    throw Failure(FailureKind::kType, "loop() takes exactly one argument");
  }
  auto& outer = static_cast<Frame&>(*loop.frame);
  return Value::Text(RenderRecursive(*loop.statement, args.positional[0], outer, loop.depth0 + 1));
}

Value Interpreter::CallMacro(const Value& callee, Args args) {
  const CallGuard guard(this);
  const auto& macro = callee.as<Macro>();
  const Statement& node = macro.node;
  const Callable& callable = node.callable;
  const size_t count = callable.parameters.size();
  const auto take = [&args](std::string_view name) {
    for (auto it = args.named.begin(); it != args.named.end(); ++it) {
      if (it->first != name) continue;
      Value value = std::move(it->second);
      args.named.erase(it);
      return value;
    }
    return Value::Missing();
  };

  const Ref<Frame> frame = Make<Frame>(callable.num_slots, macro.closure);
  for (size_t i = 0; i < count; ++i) {
    frame->slots[static_cast<size_t>(callable.parameter_slots[i])] =
        i < args.positional.size() ? args.positional[i] : take(callable.parameters[i]);
  }
  if (callable.caller_slot >= 0) {
    Value caller = take("caller");
    if (caller.is(Type::kMissing)) caller = Value::Undefined("No caller defined");
    frame->slots[static_cast<size_t>(callable.caller_slot)] = std::move(caller);
  }
  const std::string shown = callable.name.empty() ? "None" : "'" + callable.name + "'";
  if (callable.kwargs_slot >= 0) {
    const Ref<Dict> rest = Make<Dict>();
    for (const auto& [name, value] : args.named) rest->Set(Value::Text(name), value);
    frame->slots[static_cast<size_t>(callable.kwargs_slot)] = rest;
  } else if (!args.named.empty()) {
    throw Failure(FailureKind::kType, "macro {} takes no keyword argument '{}'", shown,
                  args.named[0].first);
  }
  if (callable.varargs_slot >= 0) {
    const size_t used = std::min(count, args.positional.size());
    frame->slots[static_cast<size_t>(callable.varargs_slot)] = Value::Tuple(
        {args.positional.begin() + static_cast<ptrdiff_t>(used), args.positional.end()});
  } else if (args.positional.size() > count) {
    throw Failure(FailureKind::kType, "macro {} takes not more than {} argument(s)", shown, count);
  }

  Capture capture(this);
  Enter(node.scope, *frame);
  const size_t required = count - callable.defaults.size();
  for (size_t i = 0; i < count; ++i) {
    Value& slot = frame->slots[static_cast<size_t>(callable.parameter_slots[i])];
    if (!slot.is(Type::kMissing)) continue;
    slot = i >= required ? Evaluate(*callable.defaults[i - required], *frame)
                         : Value::Undefined(fmt::format("parameter '{}' was not provided",
                                                        callable.parameters[i]));
  }
  Execute(node.body, *frame);
  return Value::Text(capture.Take());
}

Value MacroAttribute(const Value& value, std::string_view name) {
  const Callable& callable = value.as<Macro>().node.callable;
  if (name == "name") return callable.name.empty() ? Value() : Value::Text(callable.name);
  if (name == "arguments") {
    std::vector<Value> names;
    for (const std::string& parameter : callable.parameters)
      names.push_back(Value::Text(parameter));
    return Value::Tuple(std::move(names));
  }
  if (name == "catch_kwargs") return Value::Bool(callable.kwargs_slot >= 0);
  if (name == "catch_varargs") return Value::Bool(callable.varargs_slot >= 0);
  if (name == "caller") {
    return Value::Bool(callable.caller_slot >= 0 || callable.explicit_caller);
  }
  if (name == "explicit_caller") return Value::Bool(callable.explicit_caller);
  return Value::Missing();
}

}  // namespace slm::text::jinja
