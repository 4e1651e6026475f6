// The `loop` variable, and the attributes of macros.
#pragma once

#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace slm::text::jinja {

struct Statement;

struct Loop : Mutable {
  Loop(const Value& iterable_, int depth0_);

  // Moves on to the next item; false at the end.
  bool Advance(Value* item);
  Int Size();  // of the whole iteration; reads it to its end when it has no length
  const Value* Peek();
  void Clear() override;

  Value iterable;
  Ref<Iterator> iterator;
  Int index0 = -1;
  int depth0;
  Value before = Value::Missing();
  Value current = Value::Missing();
  Value after = Value::Missing();
  Value last_changed = Value::Missing();

  // Of a recursive loop: what a call of `loop` renders.
  const Statement* statement = nullptr;
  Ref<Object> frame;

 private:
  Int size_ = -1;
};

// Missing when there is no such attribute.
Value LoopAttribute(const Value& loop, std::string_view name);
Ref<Iterator> IterateLoop(const Value& loop);

Value MacroAttribute(const Value& macro, std::string_view name);

}  // namespace slm::text::jinja
