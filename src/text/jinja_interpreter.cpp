#include "text/jinja_interpreter.h"

#include "text/jinja_budget.h"
#include "text/jinja_builtins.h"
#include "text/jinja_failure.h"
#include "text/jinja_loop.h"
#include "text/jinja_macro.h"
#include "text/jinja_operators.h"

namespace slm::text::jinja {

// The generator behind `for ... in ... if condition`.
class ConditionIterator : public Iterator {
 public:
  ConditionIterator(Interpreter* interpreter, const Statement& loop, const Value& iterable,
                    Frame& outer)
      : Iterator("generator"),
        interpreter_(interpreter),
        loop_(loop),
        source_(Iterate(iterable)),
        frame_(Make<Frame>(loop.test_slots, Ref<Frame>(&outer))) {
    interpreter_->Enter(loop_.test_scope, *frame_);
  }

  bool Next(Value* item) override {
    const Budget::Depth depth;
    while (source_->Next(item)) {
      Budget::Step();
      interpreter_->Assign(*loop_.test_target, *item, *frame_);
      if (IsTrue(interpreter_->Evaluate(*loop_.condition, *frame_))) {
        // What was unpacked is packed again, as a tuple.
        *item = interpreter_->Evaluate(*loop_.test_target, *frame_);
        return true;
      }
    }
    return false;
  }

 private:
  Interpreter* interpreter_;
  const Statement& loop_;
  const Ref<Iterator> source_;
  const Ref<Frame> frame_;
};

Frame::Frame(int num_slots, Ref<Frame> outer_)
    : Mutable(Type::kFrame),
      slots(static_cast<size_t>(num_slots), Value::Missing()),
      outer(std::move(outer_)) {
  Charge(sizeof(Frame) + slots.size() * sizeof(Value));
}

void Frame::Clear() {
  const auto dying = std::move(slots);
  slots.clear();
  outer = Ref<Frame>();
}

Interpreter::Capture::Capture(Interpreter* interpreter)
    : interpreter_(interpreter), before_(interpreter->buffered_) {
  interpreter_->buffers_.emplace_back();
}

Interpreter::Capture::~Capture() {
  interpreter_->buffers_.pop_back();
  interpreter_->buffered_ = before_;
}

std::string Interpreter::Capture::Take() { return std::move(interpreter_->buffers_.back()); }

Interpreter::CallGuard::CallGuard(Interpreter* interpreter)
    : interpreter_(interpreter), line_(interpreter->line_) {
  if (interpreter_->calls_ >= interpreter_->options_.limits.call_depth) {
    throw Failure(FailureKind::kRecursion, "maximum recursion depth exceeded");
  }
  ++interpreter_->calls_;
}

Interpreter::CallGuard::~CallGuard() {
  --interpreter_->calls_;
  // After an exception the line stays where it happened.
  if (std::uncaught_exceptions() == 0) interpreter_->line_ = line_;
}

Interpreter::Interpreter(const Program& program, const RenderOptions& options, Variables context)
    : program_(program), options_(options), context_(std::move(context)), buffers_(1) {}

std::string Interpreter::Run() {
  const Ref<Frame> frame = Make<Frame>(program_.num_slots, Ref<Frame>());
  Enter(program_.scope, *frame);
  Execute(program_.body, *frame);
  return std::move(buffers_.back());
}

void Interpreter::Write(std::string_view text) {
  Budget::StepBytes(text.size());
  buffered_ += static_cast<int64_t>(text.size());
  if (buffered_ > options_.limits.output_bytes) {
    throw Failure(FailureKind::kLimit, "the output is longer than {} bytes",
                  options_.limits.output_bytes);
  }
  buffers_.back().append(text);
}

Value Interpreter::Resolve(const std::string& name) const {
  if (const auto found = exported_.find(name); found != exported_.end()) return found->second;
  if (const auto found = context_.find(name); found != context_.end()) return found->second;
  return FindGlobal(name);
}

Value& Interpreter::At(const Place& place, Frame& frame) {
  Frame* at = &frame;
  for (int i = 0; i < place.hops; ++i) at = at->outer.get();
  return at->slots[static_cast<size_t>(place.slot)];
}

void Interpreter::Enter(const Scope& scope, Frame& frame) {
  for (const Scope::Entry& entry : scope.enter) {
    Value value = Value::Missing();
    if (entry.load == Scope::Load::kResolve) value = Resolve(entry.name);
    if (entry.load == Scope::Load::kAlias) value = At(entry.source, frame);
    frame.slots[static_cast<size_t>(entry.slot)] = std::move(value);
  }
}

void Interpreter::Leave(const Scope& scope, Frame& frame) {
  for (int slot : scope.leave) frame.slots[static_cast<size_t>(slot)] = Value::Missing();
}

void Interpreter::Assign(const Expression& target, const Value& value, Frame& frame) {
  switch (target.kind) {
    case ExpressionKind::kName:
      At(target.place, frame) = value;
      return;
    case ExpressionKind::kNamespaceRef:
      CheckNamespaces(target, frame);
      if (target.attribute.starts_with('_')) {
        throw Failure(FailureKind::kSecurity,
                      "Chat templates cannot store underscore-prefixed attributes on a namespace, "
                      "but got '{}'. Please rename the attribute.",
                      target.attribute);
      }
      At(target.place, frame).as<Namespace>().attributes->Set(Value::Text(target.attribute), value);
      return;
    default:
      break;
  }
  if (!IsIterable(value)) {
    throw Failure(FailureKind::kType, "cannot unpack non-iterable {} object", TypeName(value));
  }
  const std::vector<Value> items = ToVector(value);
  const size_t expected = target.items.size();
  if (items.size() < expected) {
    throw Failure(FailureKind::kValue, "not enough values to unpack (expected {}, got {})",
                  expected, items.size());
  }
  if (items.size() > expected) {
    throw Failure(FailureKind::kValue, "too many values to unpack (expected {})", expected);
  }
  for (size_t i = 0; i < expected; ++i) Assign(*target.items[i], items[i], frame);
}

void Interpreter::CheckNamespaces(const Expression& target, Frame& frame) {
  if (target.kind == ExpressionKind::kNamespaceRef &&
      !At(target.place, frame).is(Type::kNamespace)) {
    throw Failure(FailureKind::kRuntime, "cannot assign attribute on non-namespace object");
  }
  for (const ExpressionPtr& item : target.items) CheckNamespaces(*item, frame);
}

void Interpreter::Export(const Expression& target, Frame& frame) {
  if (target.kind == ExpressionKind::kName) exported_[target.name] = At(target.place, frame);
  for (const ExpressionPtr& item : target.items) Export(*item, frame);
}

Interpreter::Flow Interpreter::Execute(const Body& body, Frame& frame) {
  for (const auto& statement : body) {
    const Flow flow = Execute(*statement, frame);
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::Execute(const Statement& node, Frame& frame) {
  const Budget::Depth depth;
  Budget::Step();
  line_ = node.line;
  switch (node.kind) {
    case StatementKind::kText:
      Write(node.text);
      return Flow::kNormal;
    case StatementKind::kOutput: {
      const Value value = Evaluate(*node.expression, frame);
      Write(value.is(Type::kStr) ? value.text() : ToText(value));
      return Flow::kNormal;
    }
    case StatementKind::kFor:
      return ExecuteFor(node, frame);
    case StatementKind::kIf:
      return ExecuteIf(node, frame);
    case StatementKind::kSet:
      ExecuteSet(node, frame);
      return Flow::kNormal;
    case StatementKind::kSetBlock:
      return ExecuteSetBlock(node, frame);
    case StatementKind::kWith:
      return ExecuteWith(node, frame);
    case StatementKind::kMacro:
      At(node.target->place, frame) = Make<Macro>(node, Ref<Frame>(&frame));
      if (node.exports) Export(*node.target, frame);
      return Flow::kNormal;
    case StatementKind::kCallBlock:
      ExecuteCallBlock(node, frame);
      return Flow::kNormal;
    case StatementKind::kGeneration: {
      const Value caller = Make<Macro>(node, Ref<Frame>(&frame));
      Write(Call(caller, {}).text());
      return Flow::kNormal;
    }
    case StatementKind::kFilterBlock:
      return ExecuteFilterBlock(node, frame);
    case StatementKind::kScope:
      return ExecuteInScope(node, frame);
    case StatementKind::kBlock:
      ExecuteBlock(node);
      return Flow::kNormal;
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
    case StatementKind::kUnsupported:
      throw Failure(FailureKind::kUnsupported,
                    "the tag '{}' needs other templates, which a sandbox does not have", node.name);
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::ExecuteIf(const Statement& node, Frame& frame) {
  for (const Branch& branch : node.branches) {
    if (IsTrue(Evaluate(*branch.test, frame))) return Execute(branch.body, frame);
  }
  return Execute(node.else_body, frame);
}

Interpreter::Flow Interpreter::ExecuteFor(const Statement& node, Frame& frame) {
  const Value iterable = Evaluate(*node.expression, frame);
  if (!node.recursive) return RunLoop(node, iterable, frame, 0);
  Write(RenderRecursive(node, iterable, frame, 0));
  return Flow::kNormal;
}

std::string Interpreter::RenderRecursive(const Statement& node, const Value& iterable, Frame& outer,
                                         int depth0) {
  const CallGuard guard(this);
  Capture capture(this);
  const Ref<Frame> frame = Make<Frame>(node.frame_slots, Ref<Frame>(&outer));
  RunLoop(node, iterable, *frame, depth0);
  return capture.Take();
}

Interpreter::Flow Interpreter::RunLoop(const Statement& node, const Value& iterable, Frame& frame,
                                       int depth0) {
  // The frame in which the loop stands; a recursive loop's own frame is inside it.
  Frame& outer = node.recursive ? *frame.outer : frame;
  const Value source =
      node.condition ? Value(Make<ConditionIterator>(this, node, iterable, outer)) : iterable;
  Ref<Loop> loop;
  Ref<Iterator> iterator;
  if (node.loop_slot >= 0) {
    loop = Make<Loop>(source, depth0);
    if (node.recursive) {
      loop->statement = &node;
      loop->frame = Ref<Object>(&outer);
    }
  } else {
    iterator = Iterate(source);
  }
  // Pitfall: jinja2 notes that a loop had items at the end of the body, so a loop whose every
  // iteration ends by break or continue runs its else as well.
  bool completed = false;
  Flow flow = Flow::kNormal;
  Value item;
  while (loop ? loop->Advance(&item) : iterator->Next(&item)) {
    Budget::Step();
    Assign(*node.target, item, frame);
    if (loop) frame.slots[static_cast<size_t>(node.loop_slot)] = loop;
    Enter(node.scope, frame);
    flow = Execute(node.body, frame);
    if (flow == Flow::kBreak) break;
    completed = completed || flow == Flow::kNormal;
  }
  Leave(node.scope, frame);
  if (completed || node.else_body.empty()) return Flow::kNormal;
  Enter(node.else_scope, frame);
  flow = Execute(node.else_body, frame);
  Leave(node.else_scope, frame);
  return flow;
}

Interpreter::Flow Interpreter::ExecuteInScope(const Statement& node, Frame& frame) {
  Enter(node.scope, frame);
  const Flow flow = Execute(node.body, frame);
  Leave(node.scope, frame);
  return flow;
}

Interpreter::Flow Interpreter::ExecuteWith(const Statement& node, Frame& frame) {
  Enter(node.scope, frame);
  for (const auto& [target, expression] : node.bindings) {
    Assign(*target, Evaluate(*expression, frame), frame);
  }
  const Flow flow = Execute(node.body, frame);
  Leave(node.scope, frame);
  return flow;
}

Interpreter::Flow Interpreter::ExecuteFilterBlock(const Statement& node, Frame& frame) {
  Value captured;
  Enter(node.scope, frame);
  {
    Capture capture(this);
    const Flow flow = Execute(node.body, frame);
    if (flow != Flow::kNormal) return flow;
    captured = Value::Text(capture.Take());
  }
  Write(ToText(EvaluateFilter(*node.expression, frame, &captured)));
  Leave(node.scope, frame);
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::ExecuteSetBlock(const Statement& node, Frame& frame) {
  Value captured;
  Enter(node.scope, frame);
  {
    Capture capture(this);
    const Flow flow = Execute(node.body, frame);
    if (flow != Flow::kNormal) return flow;
    captured = Value::Text(capture.Take());
  }
  if (node.expression) captured = EvaluateFilter(*node.expression, frame, &captured);
  Assign(*node.target, captured, frame);
  if (node.exports) Export(*node.target, frame);
  Leave(node.scope, frame);
  return Flow::kNormal;
}

void Interpreter::ExecuteSet(const Statement& node, Frame& frame) {
  CheckNamespaces(*node.target, frame);
  Assign(*node.target, Evaluate(*node.expression, frame), frame);
  if (node.exports) Export(*node.target, frame);
}

void Interpreter::ExecuteCallBlock(const Statement& node, Frame& frame) {
  const Value caller = Make<Macro>(node, Ref<Frame>(&frame));
  Write(ToText(EvaluateCall(*node.expression, frame, &caller)));
}

void Interpreter::ExecuteBlock(const Statement& node) {
  const CallGuard guard(this);
  const Ref<Frame> frame = Make<Frame>(node.frame_slots, Ref<Frame>());
  Enter(node.scope, *frame);
  Execute(node.body, *frame);
}

}  // namespace slm::text::jinja
