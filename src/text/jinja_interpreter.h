// Runs a bound template.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/jinja.h"
#include "text/jinja_ast.h"
#include "text/jinja_value.h"

namespace slm::text::jinja {

// The variables of one call of a function.
struct Frame : Mutable {
  Frame(int num_slots, Ref<Frame> outer_);
  void Clear() override;

  std::vector<Value> slots;
  Ref<Frame> outer;
};

using Variables = std::unordered_map<std::string, Value>;

class Interpreter {
 public:
  Interpreter(const Program& program, const RenderOptions& options, Variables context);

  std::string Run();
  int line() const { return line_; }

 private:
  friend class ConditionIterator;
  enum class Flow : uint8_t { kNormal, kBreak, kContinue };

  // Redirects output into a buffer while it lives.
  class Capture {
   public:
    explicit Capture(Interpreter* interpreter);
    ~Capture();
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    std::string Take();

   private:
    Interpreter* interpreter_;
    int64_t before_;
  };

  // Counts nested calls of macros and recursive loops; restores the line when the call is over.
  class CallGuard {
   public:
    explicit CallGuard(Interpreter* interpreter);
    ~CallGuard();
    CallGuard(const CallGuard&) = delete;
    CallGuard& operator=(const CallGuard&) = delete;

   private:
    Interpreter* interpreter_;
    int line_;
  };

  void Write(std::string_view text);
  Flow Execute(const Body& body, Frame& frame);
  Flow Execute(const Statement& node, Frame& frame);
  Flow ExecuteIf(const Statement& node, Frame& frame);
  Flow ExecuteFor(const Statement& node, Frame& frame);
  Flow ExecuteWith(const Statement& node, Frame& frame);
  Flow ExecuteFilterBlock(const Statement& node, Frame& frame);
  Flow ExecuteSetBlock(const Statement& node, Frame& frame);
  Flow ExecuteInScope(const Statement& node, Frame& frame);
  Flow RunLoop(const Statement& node, const Value& iterable, Frame& frame, int depth0);
  std::string RenderRecursive(const Statement& node, const Value& iterable, Frame& outer,
                              int depth0);
  void ExecuteSet(const Statement& node, Frame& frame);
  void ExecuteCallBlock(const Statement& node, Frame& frame);
  void ExecuteBlock(const Statement& node);

  void Enter(const Scope& scope, Frame& frame);
  static void Leave(const Scope& scope, Frame& frame);
  Value Resolve(const std::string& name) const;
  static Value& At(const Place& place, Frame& frame);
  void Assign(const Expression& target, const Value& value, Frame& frame);
  static void CheckNamespaces(const Expression& target, Frame& frame);
  void Export(const Expression& target, Frame& frame);

  Value Evaluate(const Expression& node, Frame& frame);
  Value EvaluateBinary(const Expression& node, Frame& frame);
  Value EvaluateConcat(const Expression& node, Frame& frame);
  Value EvaluateDict(const Expression& node, Frame& frame);
  Value EvaluateConditional(const Expression& node, Frame& frame);
  Value EvaluateSlice(const Expression& node, Frame& frame);
  Value EvaluateTest(const Expression& node, Frame& frame);
  std::vector<Value> EvaluateItems(const Expression& node, Frame& frame);
  bool EvaluateCompare(const Expression& node, Frame& frame);
  // `captured` is the text of a filter block, for the innermost filter of the chain.
  Value EvaluateFilter(const Expression& node, Frame& frame, const Value* captured);
  Value EvaluateCall(const Expression& node, Frame& frame, const Value* caller);
  Args EvaluateArguments(const Arguments& arguments, Frame& frame);

  Value Call(const Value& callee, Args args);
  Value CallMacro(const Value& macro, Args args);
  Value CallLoop(const Value& loop, Args args);

  const Program& program_;
  const RenderOptions& options_;
  const Variables context_;
  Variables exported_;
  std::vector<std::string> buffers_;  // the output, then one per capture
  int64_t buffered_ = 0;              // bytes in all of them
  int line_ = 1;
  int calls_ = 0;
};

}  // namespace slm::text::jinja
