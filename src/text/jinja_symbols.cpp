#include "text/jinja_symbols.h"

namespace slm::text::jinja {
namespace {

// jinja2's UndeclaredNameVisitor, whose order of visits decides about "before".
class UndeclaredFinder {
 public:
  explicit UndeclaredFinder(std::set<std::string> names) : names_(std::move(names)) {}

  void Visit(const Body& body) {
    for (const auto& statement : body) Visit(*statement);
  }

  std::set<std::string> found;

 private:
  void Read(const Expression* expression) {
    if (expression == nullptr) return;
    if (expression->kind == ExpressionKind::kName && names_.count(expression->name) > 0) {
      found.insert(expression->name);
    }
    ForEachChild(*expression, [this](const Expression& child) { Read(&child); });
  }

  void Assign(const Expression* target) {
    if (target == nullptr) return;
    if (target->kind == ExpressionKind::kName) names_.erase(target->name);
    ForEachChild(*target, [this](const Expression& child) { Assign(&child); });
  }

  void VisitCallable(const Callable& callable) {
    for (const ExpressionPtr& target : callable.targets) Assign(target.get());
    for (const ExpressionPtr& value : callable.defaults) Read(value.get());
  }

  void Visit(const Statement& node) {
    switch (node.kind) {
      case StatementKind::kBlock:
        return;
      case StatementKind::kFor:
        Assign(node.target.get());
        Read(node.expression.get());
        Visit(node.body);
        Visit(node.else_body);
        Read(node.condition.get());
        return;
      case StatementKind::kIf:
        for (const Branch& branch : node.branches) {
          Read(branch.test.get());
          Visit(branch.body);
        }
        Visit(node.else_body);
        return;
      case StatementKind::kWith:
        for (const auto& [target, value] : node.bindings) Assign(target.get());
        for (const auto& [target, value] : node.bindings) Read(value.get());
        Visit(node.body);
        return;
      case StatementKind::kMacro:
        VisitCallable(node.callable);
        Visit(node.body);
        return;
      case StatementKind::kCallBlock:
        Read(node.expression.get());
        VisitCallable(node.callable);
        Visit(node.body);
        return;
      case StatementKind::kFilterBlock:
        Visit(node.body);
        Read(node.expression.get());
        return;
      default:
        Assign(node.target.get());
        Read(node.expression.get());
        Visit(node.body);
    }
  }

  std::set<std::string> names_;
};

}  // namespace

std::set<std::string> FindUndeclared(const Body& body, std::set<std::string> names) {
  UndeclaredFinder finder(std::move(names));
  finder.Visit(body);
  return std::move(finder.found);
}

Symbols::Symbols(const Symbols* parent, FunctionSlots* function)
    : parent_(parent), function_(function), level_(parent == nullptr ? 0 : parent->level_ + 1) {}

void Symbols::Define(const std::string& name, Start start) {
  const int slot = function_->SlotOf(level_, name);
  variables_.insert_or_assign(name, Variable{function_, slot});
  starts_.insert_or_assign(slot, std::move(start));
}

const Variable* Symbols::Find(const std::string& name) const {
  for (const Symbols* scope = this; scope != nullptr; scope = scope->parent_) {
    const auto found = scope->variables_.find(name);
    if (found != scope->variables_.end()) return &found->second;
  }
  return nullptr;
}

void Symbols::Load(const std::string& name) {
  if (Find(name) == nullptr) Define(name, {Action::kResolve, name, {}});
}

void Symbols::Store(const std::string& name) {
  stores_.insert(name);
  if (variables_.count(name) > 0) return;
  const Variable* outer = parent_ == nullptr ? nullptr : parent_->Find(name);
  if (outer != nullptr) {
    Define(name, {Action::kAlias, name, *outer});
  } else {
    Define(name, {Action::kUndefined, name, {}});
  }
}

int Symbols::DeclareParameter(const std::string& name) {
  stores_.insert(name);
  Define(name, {Action::kParameter, name, {}});
  return variables_.at(name).slot;
}

void Symbols::Join(const std::vector<Symbols>& branches) {
  std::set<std::string> stored;
  for (const Symbols& branch : branches) {
    for (const std::string& name : branch.stores_) {
      if (stores_.count(name) == 0) stored.insert(name);
    }
  }
  for (const Symbols& branch : branches) {
    for (const auto& [name, variable] : branch.variables_) {
      variables_.insert_or_assign(name, variable);
    }
    for (const auto& [slot, start] : branch.starts_) starts_.insert_or_assign(slot, start);
    stores_.insert(branch.stores_.begin(), branch.stores_.end());
  }
  // A branch may not be taken, so what it assigns has to start as what it was outside.
  for (const std::string& name : stored) {
    const Variable* outer = parent_ == nullptr ? nullptr : parent_->Find(name);
    const int slot = Find(name)->slot;
    starts_.insert_or_assign(slot, outer != nullptr ? Start{Action::kAlias, name, *outer}
                                                    : Start{Action::kResolve, name, {}});
  }
}

Place Symbols::PlaceOf(const Variable& variable) const {
  Place place{0, variable.slot};
  for (const FunctionSlots* at = function_; at != variable.function; at = at->outer) ++place.hops;
  return place;
}

Scope Symbols::MakeScope() const {
  Scope scope;
  for (const auto& [slot, start] : starts_) {
    scope.leave.push_back(slot);
    switch (start.action) {
      case Action::kParameter:
        break;
      case Action::kResolve:
        scope.enter.push_back({Scope::Load::kResolve, slot, start.name, {}});
        break;
      case Action::kAlias:
        scope.enter.push_back({Scope::Load::kAlias, slot, start.name, PlaceOf(start.source)});
        break;
      case Action::kUndefined:
        scope.enter.push_back({Scope::Load::kUndefined, slot, start.name, {}});
        break;
    }
  }
  return scope;
}

void Symbols::AnalyzeExpression(const Expression* expression) {
  if (expression == nullptr) return;
  if (expression->kind == ExpressionKind::kName) Load(expression->name);
  ForEachChild(*expression, [this](const Expression& child) { AnalyzeExpression(&child); });
}

void Symbols::AnalyzeTarget(const Expression& target) {
  if (target.kind == ExpressionKind::kName) Store(target.name);
  if (target.kind == ExpressionKind::kNamespaceRef) Load(target.name);
  ForEachChild(target, [this](const Expression& child) { AnalyzeTarget(child); });
}

void Symbols::AnalyzeParameters(const Expression& target) {
  if (target.kind == ExpressionKind::kName) DeclareParameter(target.name);
  ForEachChild(target, [this](const Expression& child) { AnalyzeParameters(child); });
}

void Symbols::AnalyzeIf(const Statement& node) {
  AnalyzeExpression(node.branches[0].test.get());
  std::vector<Symbols> branches;
  branches.push_back(*this);
  branches.back().Analyze(node.branches[0].body);
  // All elifs go through one copy, each as an `if` of its own.
  branches.push_back(*this);
  for (size_t i = 1; i < node.branches.size(); ++i) {
    Symbols& others = branches[1];
    others.AnalyzeExpression(node.branches[i].test.get());
    std::vector<Symbols> inner(1, others);
    inner[0].Analyze(node.branches[i].body);
    others.Join(inner);
  }
  branches.push_back(*this);
  branches.back().Analyze(node.else_body);
  Join(branches);
}

void Symbols::Analyze(const Body& body) {
  for (const auto& statement : body) Analyze(*statement);
}

void Symbols::Analyze(const Statement& node) {
  switch (node.kind) {
    case StatementKind::kOutput:
    case StatementKind::kFor:
    case StatementKind::kCallBlock:
    case StatementKind::kFilterBlock:
      AnalyzeExpression(node.expression.get());
      return;
    case StatementKind::kIf:
      AnalyzeIf(node);
      return;
    case StatementKind::kSet:
      AnalyzeExpression(node.expression.get());
      AnalyzeTarget(*node.target);
      return;
    case StatementKind::kSetBlock:
      AnalyzeTarget(*node.target);
      return;
    case StatementKind::kWith:
      for (const auto& [target, value] : node.bindings) AnalyzeExpression(value.get());
      return;
    case StatementKind::kMacro:
      Store(node.callable.name);
      return;
    default:
      return;  // scopes of their own, or nothing to see
  }
}

}  // namespace slm::text::jinja
