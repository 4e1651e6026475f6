#include "text/jinja_loop.h"

#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_operators.h"

namespace slm::text::jinja {
namespace {

Value Cycle(const RenderOptions&, const Value& self, Args& args) {
  if (!args.named.empty()) {
    throw Failure(FailureKind::kType, "cycle() got an unexpected keyword argument");
  }
  if (args.positional.empty()) throw Failure(FailureKind::kType, "no items for cycling given");
  const auto count = static_cast<Int>(args.positional.size());
  return args.positional[static_cast<size_t>((self.as<Loop>().index0 % count + count) % count)];
}

Value Changed(const RenderOptions&, const Value& self, Args& args) {
  auto& loop = self.as<Loop>();
  Value now = Value::Tuple(args.positional);
  if (loop.last_changed.is(Type::kTuple) && Equal(loop.last_changed, now)) {
    return Value::Bool(false);
  }
  loop.last_changed = std::move(now);
  return Value::Bool(true);
}

// Iterating over `loop` itself takes items away from the loop: (item, loop).
class LoopIterator : public Iterator {
 public:
  explicit LoopIterator(Value loop) : Iterator("LoopContext"), loop_(std::move(loop)) {}

  bool Next(Value* item) override {
    Value next;
    if (!loop_.as<Loop>().Advance(&next)) return false;
    *item = Value::Tuple({next, loop_});
    return true;
  }

 private:
  const Value loop_;
};

}  // namespace

Loop::Loop(const Value& iterable_, int depth0_)
    : Mutable(Type::kLoop), iterable(iterable_), iterator(Iterate(iterable_)), depth0(depth0_) {
  Charge(sizeof(Loop));
}

bool Loop::Advance(Value* item) {
  Value next;
  if (!after.is(Type::kMissing)) {
    next = std::exchange(after, Value::Missing());
  } else if (!iterator || !iterator->Next(&next)) {
    return false;
  }
  ++index0;
  before = std::exchange(current, next);
  *item = std::move(next);
  return true;
}

const Value* Loop::Peek() {
  if (after.is(Type::kMissing) && (!iterator || !iterator->Next(&after))) {
    after = Value::Missing();
    return nullptr;
  }
  return &after;
}

Int Loop::Size() {
  if (size_ >= 0) return size_;
  if (const auto length = TryLength(iterable)) return size_ = *length;
  const Value rest = Value::List(ToVector(Value(iterator)));
  iterator = Iterate(rest);
  return size_ = static_cast<Int>(rest.items().size()) + index0 + 1 +
                 (after.is(Type::kMissing) ? 0 : 1);
}

void Loop::Clear() {
  iterable = before = current = after = last_changed = Value::Missing();
  iterator = Ref<Iterator>();
  frame = Ref<Object>();
}

Value LoopAttribute(const Value& value, std::string_view name) {
  auto& loop = value.as<Loop>();
  if (name == "index") return Value::Integer(loop.index0 + 1);
  if (name == "index0") return Value::Integer(loop.index0);
  if (name == "first") return Value::Bool(loop.index0 == 0);
  if (name == "last") return Value::Bool(loop.Peek() == nullptr);
  if (name == "length") return Value::Integer(loop.Size());
  if (name == "revindex") return Value::Integer(loop.Size() - loop.index0);
  if (name == "revindex0") return Value::Integer(loop.Size() - loop.index0 - 1);
  if (name == "depth") return Value::Integer(loop.depth0 + 1);
  if (name == "depth0") return Value::Integer(loop.depth0);
  if (name == "previtem") {
    return loop.index0 == 0 ? Value::Undefined("there is no previous item") : loop.before;
  }
  if (name == "nextitem") {
    const Value* next = loop.Peek();
    return next == nullptr ? Value::Undefined("there is no next item") : *next;
  }
  if (name == "cycle") return Make<Function>("cycle", &Cycle, value);
  if (name == "changed") return Make<Function>("changed", &Changed, value);
  return Value::Missing();
}

Ref<Iterator> IterateLoop(const Value& loop) { return Make<LoopIterator>(loop); }

}  // namespace slm::text::jinja
