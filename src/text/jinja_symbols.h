// The symbol tables of the binder.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_ast.h"

namespace slm::text::jinja {

// The slots of one frame. Scopes at one level share the variables of one name.
struct FunctionSlots {
  const FunctionSlots* outer = nullptr;
  int loops = 0;  // around the statement being bound
  std::map<std::pair<int, std::string>, int> slots;

  int SlotOf(int level, const std::string& name) {
    return slots.emplace(std::pair(level, name), static_cast<int>(slots.size())).first->second;
  }
  int size() const { return static_cast<int>(slots.size()); }
};

struct Variable {
  const FunctionSlots* function;
  int slot;
};

// The names of one scope: which variable each means, and what each starts as.
class Symbols {
 public:
  Symbols(const Symbols* parent, FunctionSlots* function);

  // What the scope does with a name, in the order of the text.
  void Load(const std::string& name);
  void Store(const std::string& name);
  int DeclareParameter(const std::string& name);
  // Joins copies of this that went through the branches of an `if`.
  void Join(const std::vector<Symbols>& branches);

  const Variable* Find(const std::string& name) const;
  FunctionSlots* function() const { return function_; }
  Place PlaceOf(const Variable& variable) const;
  Scope MakeScope() const;

  // Goes through what a statement does in this scope itself, without the scopes inside it.
  void Analyze(const Statement& statement);
  void Analyze(const Body& body);
  void AnalyzeExpression(const Expression* expression);
  void AnalyzeParameters(const Expression& target);  // a target whose names are parameters

 private:
  enum class Action : uint8_t { kParameter, kResolve, kAlias, kUndefined };
  struct Start {
    Action action;
    std::string name;
    Variable source;
  };

  void Define(const std::string& name, Start start);
  void AnalyzeTarget(const Expression& target);
  void AnalyzeIf(const Statement& statement);

  const Symbols* parent_;
  FunctionSlots* function_;
  int level_;
  std::map<std::string, Variable> variables_;
  std::map<int, Start> starts_;  // by slot
  std::set<std::string> stores_;
};

// Those of `names` that `body` reads without having assigned them before. Does not look into
// blocks.
std::set<std::string> FindUndeclared(const Body& body, std::set<std::string> names);

// Calls visit(child) for the expressions directly below `expression`.
template <class Visit>
void ForEachChild(const Expression& expression, Visit visit) {
  for (const ExpressionPtr& item : expression.items) {
    if (item) visit(*item);
  }
  for (const ExpressionPtr& item : expression.arguments.positional) visit(*item);
  for (const auto& [name, item] : expression.arguments.named) visit(*item);
  if (expression.arguments.splat) visit(*expression.arguments.splat);
  if (expression.arguments.double_splat) visit(*expression.arguments.double_splat);
}

}  // namespace slm::text::jinja
