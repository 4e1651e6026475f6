#include "text/jinja_binder.h"

#include <fmt/core.h>

#include <deque>
#include <set>

#include "text/jinja_builtins.h"
#include "text/jinja_lexer.h"
#include "text/jinja_symbols.h"

namespace slm::text::jinja {
namespace {

ExpressionPtr CloneTarget(const Expression& target) {
  auto clone = std::make_unique<Expression>();
  clone->kind = target.kind;
  clone->line = target.line;
  clone->name = target.name;
  for (const ExpressionPtr& item : target.items) clone->items.push_back(CloneTarget(*item));
  return clone;
}

bool AssignsLoop(const Expression* target) {
  if (target == nullptr) return false;
  if (target->kind == ExpressionKind::kName && target->name == "loop") return true;
  for (const ExpressionPtr& item : target->items) {
    if (AssignsLoop(item.get())) return true;
  }
  return false;
}

bool AssignsLoop(const Statement& node);

bool AssignsLoop(const Body& body) {
  for (const auto& statement : body) {
    if (AssignsLoop(*statement)) return true;
  }
  return false;
}

bool AssignsLoop(const Statement& node) {
  const bool assigns = node.kind != StatementKind::kMacro && AssignsLoop(node.target.get());
  if (assigns || AssignsLoop(node.body) || AssignsLoop(node.else_body)) return true;
  for (const Branch& branch : node.branches) {
    if (AssignsLoop(branch.body)) return true;
  }
  return false;
}

class Binder {
 public:
  void Run(Program* program) {
    FunctionSlots* function = AddFunction(nullptr);
    Symbols symbols(nullptr, function);
    symbols.Analyze(program->body);
    BindBody(&program->body, {&symbols, /*soft=*/false, /*top_level=*/true});
    program->scope = symbols.MakeScope();
    program->num_slots = function->size();
  }

 private:
  struct Frame {
    const Symbols* symbols;
    bool soft;       // inside an `if`, where an unknown filter fails only when it is used
    bool top_level;  // assignments are visible to blocks
  };

  [[noreturn]] static void Fail(int line, std::string message,
                                FailureKind kind = FailureKind::kAssertion) {
    throw SyntaxFailure{line, std::move(message), kind};
  }

  FunctionSlots* AddFunction(const FunctionSlots* outer) {
    functions_.emplace_back();
    functions_.back().outer = outer;
    return &functions_.back();
  }

  static Place Find(const Symbols& symbols, const Expression& name) {
    const Variable* variable = symbols.Find(name.name);
    if (variable == nullptr) {
      Fail(name.line,
           fmt::format("Tried to resolve a name to a reference that was unknown to the "
                       "frame ('{}')",
                       name.name),
           FailureKind::kPythonAssertion);
    }
    return symbols.PlaceOf(*variable);
  }

  void BindExpression(Expression* node, const Symbols& symbols, bool soft) {
    if (node == nullptr) return;
    switch (node->kind) {
      case ExpressionKind::kName:
      case ExpressionKind::kNamespaceRef:
        node->place = Find(symbols, *node);
        break;
      case ExpressionKind::kConditional:
        soft = true;
        break;
      case ExpressionKind::kFilter:
        node->filter = FindFilter(node->name);
        if (node->filter == nullptr && !soft) {
          Fail(node->line, fmt::format("No filter named '{}'.", node->name));
        }
        break;
      case ExpressionKind::kTest:
        node->test = FindTest(node->name);
        if (node->test == nullptr && !soft) {
          Fail(node->line, fmt::format("No test named '{}'.", node->name));
        }
        break;
      default:
        break;
    }
    for (ExpressionPtr& item : node->items) BindExpression(item.get(), symbols, soft);
    for (ExpressionPtr& item : node->arguments.positional) {
      BindExpression(item.get(), symbols, soft);
    }
    for (auto& [name, item] : node->arguments.named) BindExpression(item.get(), symbols, soft);
    BindExpression(node->arguments.splat.get(), symbols, soft);
    BindExpression(node->arguments.double_splat.get(), symbols, soft);
  }

  void BindBody(Body* body, const Frame& frame) {
    for (auto& statement : *body) BindStatement(statement.get(), frame);
  }

  // Binds a body to a scope of its own within the current function.
  void BindInner(Statement* node, const Symbols& inner) {
    BindBody(&node->body, {&inner, false, false});
  }

  void BindStatement(Statement* node, const Frame& frame) {
    const Symbols& symbols = *frame.symbols;
    switch (node->kind) {
      case StatementKind::kText:
      case StatementKind::kUnsupported:
        return;
      case StatementKind::kOutput:
        BindExpression(node->expression.get(), symbols, frame.soft);
        return;
      case StatementKind::kFor:
        BindFor(node, frame);
        return;
      case StatementKind::kIf:
        for (Branch& branch : node->branches) {
          BindExpression(branch.test.get(), symbols, true);
          BindBody(&branch.body, {&symbols, true, frame.top_level});
        }
        BindBody(&node->else_body, {&symbols, true, frame.top_level});
        return;
      case StatementKind::kSet:
        BindExpression(node->target.get(), symbols, frame.soft);
        BindExpression(node->expression.get(), symbols, frame.soft);
        node->exports = frame.top_level;
        return;
      case StatementKind::kSetBlock:
        BindSetBlock(node, frame);
        return;
      case StatementKind::kWith:
        BindWith(node, frame);
        return;
      case StatementKind::kMacro:
        BindExpression(node->target.get(), symbols, frame.soft);
        node->exports = frame.top_level;
        BindCallable(node, frame);
        return;
      case StatementKind::kCallBlock:
      case StatementKind::kGeneration:
        BindCallable(node, frame);
        BindExpression(node->expression.get(), symbols, frame.soft);
        return;
      case StatementKind::kFilterBlock:
        BindFilterBlock(node, frame);
        return;
      case StatementKind::kScope: {
        Symbols inner(&symbols, symbols.function());
        inner.Analyze(node->body);
        BindInner(node, inner);
        node->scope = inner.MakeScope();
        return;
      }
      case StatementKind::kBlock:
        BindBlock(node);
        return;
      case StatementKind::kBreak:
      case StatementKind::kContinue:
        if (symbols.function()->loops > 0) return;
        Fail(node->line,
             node->kind == StatementKind::kBreak ? "'break' outside loop"
                                                 : "'continue' not properly in loop",
             FailureKind::kSyntax);
    }
  }

  void BindFor(Statement* node, const Frame& frame) {
    const Symbols& outer = *frame.symbols;
    BindExpression(node->expression.get(), outer, frame.soft);
    if (AssignsLoop(*node)) {
      Fail(node->line, "Can't assign to special loop variable in for-loop target");
    }
    FunctionSlots* function = node->recursive ? AddFunction(outer.function()) : outer.function();
    Symbols loop(&outer, function);
    const bool uses_loop = !FindUndeclared(node->body, {"loop"}).empty();
    if (node->recursive || uses_loop) node->loop_slot = loop.DeclareParameter("loop");
    loop.AnalyzeParameters(*node->target);
    loop.Analyze(node->body);
    Symbols otherwise(&outer, function);
    otherwise.Analyze(node->else_body);
    if (node->condition) {
      FunctionSlots* test_function = AddFunction(outer.function());
      Symbols test(&outer, test_function);
      node->test_target = CloneTarget(*node->target);
      test.AnalyzeParameters(*node->test_target);
      test.AnalyzeExpression(node->condition.get());
      BindExpression(node->test_target.get(), test, false);
      BindExpression(node->condition.get(), test, false);
      node->test_scope = test.MakeScope();
      node->test_slots = test_function->size();
    }
    BindExpression(node->target.get(), loop, false);
    ++function->loops;
    BindInner(node, loop);
    --function->loops;
    BindBody(&node->else_body, {&otherwise, false, false});
    node->scope = loop.MakeScope();
    node->else_scope = otherwise.MakeScope();
    if (node->recursive) node->frame_slots = function->size();
  }

  void BindSetBlock(Statement* node, const Frame& frame) {
    const Symbols& outer = *frame.symbols;
    Symbols inner(&outer, outer.function());
    inner.Analyze(node->body);
    BindInner(node, inner);
    BindExpression(node->target.get(), outer, frame.soft);
    BindExpression(node->expression.get(), inner, false);
    node->scope = inner.MakeScope();
    node->exports = frame.top_level;
  }

  void BindWith(Statement* node, const Frame& frame) {
    const Symbols& outer = *frame.symbols;
    Symbols inner(&outer, outer.function());
    for (const auto& [target, value] : node->bindings) inner.AnalyzeParameters(*target);
    inner.Analyze(node->body);
    for (auto& [target, value] : node->bindings) {
      BindExpression(target.get(), inner, false);
      BindExpression(value.get(), outer, frame.soft);
    }
    BindInner(node, inner);
    node->scope = inner.MakeScope();
  }

  void BindFilterBlock(Statement* node, const Frame& frame) {
    Symbols inner(frame.symbols, frame.symbols->function());
    inner.Analyze(node->body);
    inner.AnalyzeExpression(node->expression.get());
    BindInner(node, inner);
    BindExpression(node->expression.get(), inner, false);
    node->scope = inner.MakeScope();
  }

  void BindCallable(Statement* node, const Frame& frame) {
    Callable& callable = node->callable;
    FunctionSlots* function = AddFunction(frame.symbols->function());
    Symbols inner(frame.symbols, function);
    for (const std::string& name : callable.parameters) {
      callable.parameter_slots.push_back(inner.DeclareParameter(name));
    }
    for (const ExpressionPtr& value : callable.defaults) inner.AnalyzeExpression(value.get());
    inner.Analyze(node->body);
    const std::set<std::string> special =
        FindUndeclared(node->body, {"caller", "kwargs", "varargs"});
    const std::set<std::string> own(callable.parameters.begin(), callable.parameters.end());
    callable.explicit_caller = own.count("caller") > 0;
    if (special.count("caller") > 0) {
      if (callable.explicit_caller && callable.defaults.empty()) {
        Fail(node->line,
             "When defining macros or call blocks the special \"caller\" argument must be omitted "
             "or be given a default.");
      }
      if (!callable.explicit_caller) callable.caller_slot = inner.DeclareParameter("caller");
    }
    if (special.count("kwargs") > 0 && own.count("kwargs") == 0) {
      callable.kwargs_slot = inner.DeclareParameter("kwargs");
    }
    if (special.count("varargs") > 0 && own.count("varargs") == 0) {
      callable.varargs_slot = inner.DeclareParameter("varargs");
    }
    for (ExpressionPtr& value : callable.defaults) BindExpression(value.get(), inner, false);
    BindInner(node, inner);
    node->scope = inner.MakeScope();
    callable.num_slots = function->size();
  }

  void BindBlock(Statement* node) {
    if (!blocks_.insert(node->name).second) {
      Fail(node->line, fmt::format("block '{}' defined twice", node->name));
    }
    FunctionSlots* function = AddFunction(nullptr);
    Symbols symbols(nullptr, function);
    symbols.Analyze(node->body);
    BindInner(node, symbols);
    node->scope = symbols.MakeScope();
    node->frame_slots = function->size();
  }

  std::deque<FunctionSlots> functions_;  // stable addresses
  std::set<std::string> blocks_;
};

}  // namespace

void Bind(Program* program) { Binder().Run(program); }

}  // namespace slm::text::jinja
