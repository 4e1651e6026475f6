// A macro, or the caller of a call block.
#pragma once

#include "text/jinja_interpreter.h"

namespace slm::text::jinja {

struct Macro : Object {
  Macro(const Statement& node_, Ref<Frame> closure_)
      : Object(Type::kMacro), node(node_), closure(std::move(closure_)) {
    Charge(sizeof(Macro));
  }

  const Statement& node;
  const Ref<Frame> closure;
};

}  // namespace slm::text::jinja
