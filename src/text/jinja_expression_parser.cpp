#include "text/jinja_expression_parser.h"

#include <algorithm>
#include <optional>

namespace slm::text::jinja {
namespace {

std::optional<Comparison> ComparisonOf(const Token& token) {
  if (token.type != TokenType::kOperator) return std::nullopt;
  if (token.text == "==") return Comparison::kEq;
  if (token.text == "!=") return Comparison::kNe;
  if (token.text == "<") return Comparison::kLt;
  if (token.text == "<=") return Comparison::kLe;
  if (token.text == ">") return Comparison::kGt;
  if (token.text == ">=") return Comparison::kGe;
  return std::nullopt;
}

std::string NameOf(TokenType type) {
  Token token{type, 0, type == TokenType::kName ? "name" : ""};
  return Describe(token);
}

std::string_view NodeName(ExpressionKind kind) {
  switch (kind) {
    case ExpressionKind::kConstant:
      return "const";
    case ExpressionKind::kList:
      return "list";
    case ExpressionKind::kDict:
      return "dict";
    case ExpressionKind::kAttribute:
      return "getattr";
    case ExpressionKind::kItem:
    case ExpressionKind::kSlice:
      return "getitem";
    case ExpressionKind::kCall:
      return "call";
    case ExpressionKind::kFilter:
      return "filter";
    default:
      return "expression";
  }
}

}  // namespace

const Token& ExpressionParser::Next() {
  const Token& token = tokens_[position_];
  if (token.type != TokenType::kEnd) ++position_;
  return token;
}

bool ExpressionParser::SkipName(std::string_view name) {
  if (!Current().IsName(name)) return false;
  Next();
  return true;
}

bool ExpressionParser::SkipOperator(std::string_view symbol) {
  if (!Current().IsOperator(symbol)) return false;
  Next();
  return true;
}

const Token& ExpressionParser::Expect(TokenType type) {
  if (At(type)) return Next();
  if (At(TokenType::kEnd)) {
    Fail(fmt::format("unexpected end of template, expected '{}'.", NameOf(type)));
  }
  Fail(fmt::format("expected token '{}', got '{}'", NameOf(type), Describe(Current())));
}

void ExpressionParser::ExpectOperator(std::string_view symbol) {
  if (SkipOperator(symbol)) return;
  if (At(TokenType::kEnd)) {
    Fail(fmt::format("unexpected end of template, expected '{}'.", symbol));
  }
  Fail(fmt::format("expected token '{}', got '{}'", symbol, Describe(Current())));
}

void ExpressionParser::ExpectName(std::string_view name) {
  if (SkipName(name)) return;
  if (At(TokenType::kEnd)) {
    Fail(fmt::format("unexpected end of template, expected '{}'.", name));
  }
  Fail(fmt::format("expected token '{}', got '{}'", name, Describe(Current())));
}

void ExpressionParser::FailAt(int line, const std::string& message) {
  throw SyntaxFailure{line, message, FailureKind::kSyntax};
}

ExpressionPtr ExpressionParser::MakeNode(ExpressionKind kind, int line) {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = line;
  return node;
}

ExpressionPtr ExpressionParser::MakeNode(ExpressionKind kind, int line, ExpressionPtr item) {
  ExpressionPtr node = MakeNode(kind, line);
  Adopt(node.get(), std::move(item));
  return node;
}

ExpressionPtr ExpressionParser::MakeNode(ExpressionKind kind, int line, ExpressionPtr a,
                                         ExpressionPtr b) {
  ExpressionPtr node = MakeNode(kind, line, std::move(a));
  Adopt(node.get(), std::move(b));
  return node;
}

void ExpressionParser::Deepen(Expression* node, const Expression* child) {
  if (child == nullptr) return;
  node->depth = std::max(node->depth, child->depth + 1);
  if (node->depth > kMaxTreeDepth) FailAt(node->line, "the expression is nested too deeply");
}

void ExpressionParser::Adopt(Expression* node, ExpressionPtr item) {
  Deepen(node, item.get());
  node->items.push_back(std::move(item));
}

ExpressionPtr ExpressionParser::ParseExpression(bool with_conditional) {
  const Nested nested(this);
  return with_conditional ? ParseConditional() : ParseOr();
}

ExpressionPtr ExpressionParser::ParseConditional() {
  int line = Current().line;
  ExpressionPtr node = ParseOr();
  while (SkipName("if")) {
    ExpressionPtr test = ParseOr();
    node = MakeNode(ExpressionKind::kConditional, line, std::move(test), std::move(node));
    if (SkipName("else")) {
      const Nested nested(this);
      Adopt(node.get(), ParseConditional());
    }
    line = Current().line;
  }
  return node;
}

ExpressionPtr ExpressionParser::ParseOr() {
  const int line = Current().line;
  ExpressionPtr left = ParseAnd();
  while (SkipName("or")) {
    left = MakeNode(ExpressionKind::kOr, line, std::move(left), ParseAnd());
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseAnd() {
  const int line = Current().line;
  ExpressionPtr left = ParseNot();
  while (SkipName("and")) {
    left = MakeNode(ExpressionKind::kAnd, line, std::move(left), ParseNot());
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseNot() {
  if (!Current().IsName("not")) return ParseCompare();
  const Nested nested(this);
  const int line = Next().line;
  return MakeNode(ExpressionKind::kNot, line, ParseNot());
}

ExpressionPtr ExpressionParser::ParseCompare() {
  const int line = Current().line;
  ExpressionPtr first = ParseSum();
  ExpressionPtr node;
  for (;;) {
    Comparison comparison;
    if (const auto symbol = ComparisonOf(Current())) {
      comparison = *symbol;
      Next();
    } else if (SkipName("in")) {
      comparison = Comparison::kIn;
    } else if (Current().IsName("not") && Look().IsName("in")) {
      comparison = Comparison::kNotIn;
      Next();
      Next();
    } else {
      break;
    }
    if (!node) node = MakeNode(ExpressionKind::kCompare, line, std::move(first));
    node->comparisons.push_back(comparison);
    Adopt(node.get(), ParseSum());
  }
  return node ? std::move(node) : std::move(first);
}

ExpressionPtr ExpressionParser::ParseSum() {
  const int line = Current().line;
  ExpressionPtr left = ParseConcat();
  while (Current().IsOperator("+") || Current().IsOperator("-")) {
    const BinaryOp op = Next().text == "+" ? BinaryOp::kAdd : BinaryOp::kSub;
    left = MakeNode(ExpressionKind::kBinary, line, std::move(left), ParseConcat());
    left->binary = op;
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseConcat() {
  const int line = Current().line;
  ExpressionPtr first = ParseProduct();
  if (!Current().IsOperator("~")) return first;
  ExpressionPtr node = MakeNode(ExpressionKind::kConcat, line, std::move(first));
  while (SkipOperator("~")) Adopt(node.get(), ParseProduct());
  return node;
}

ExpressionPtr ExpressionParser::ParseProduct() {
  const int line = Current().line;
  ExpressionPtr left = ParsePower();
  for (;;) {
    BinaryOp op;
    if (Current().IsOperator("*")) {
      op = BinaryOp::kMul;
    } else if (Current().IsOperator("/")) {
      op = BinaryOp::kDiv;
    } else if (Current().IsOperator("//")) {
      op = BinaryOp::kFloorDiv;
    } else if (Current().IsOperator("%")) {
      op = BinaryOp::kMod;
    } else {
      return left;
    }
    Next();
    left = MakeNode(ExpressionKind::kBinary, line, std::move(left), ParsePower());
    left->binary = op;
  }
}

ExpressionPtr ExpressionParser::ParsePower() {
  const int line = Current().line;
  ExpressionPtr left = ParseUnary(/*with_filter=*/true);
  while (SkipOperator("**")) {
    left = MakeNode(ExpressionKind::kBinary, line, std::move(left), ParseUnary(true));
    left->binary = BinaryOp::kPow;
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseUnary(bool with_filter) {
  const Nested nested(this);
  const int line = Current().line;
  ExpressionPtr node;
  if (SkipOperator("-")) {
    node = MakeNode(ExpressionKind::kNegate, line, ParseUnary(false));
  } else if (SkipOperator("+")) {
    node = MakeNode(ExpressionKind::kPlus, line, ParseUnary(false));
  } else {
    node = ParsePrimary(/*with_namespace=*/false);
  }
  node = ParsePostfix(std::move(node));
  return with_filter ? ParseFilterOrTest(std::move(node)) : std::move(node);
}

ExpressionPtr ExpressionParser::ParseNamePrimary(bool with_namespace) {
  const Token& token = Next();
  const std::string& name = token.text;
  ExpressionPtr node = MakeNode(ExpressionKind::kConstant, token.line);
  if (name == "true" || name == "True") {
    node->value = Value::Bool(true);
  } else if (name == "false" || name == "False") {
    node->value = Value::Bool(false);
  } else if (name != "none" && name != "None") {
    node->kind = ExpressionKind::kName;
    node->name = name;
    if (with_namespace && SkipOperator(".")) {
      node->kind = ExpressionKind::kNamespaceRef;
      node->attribute = Expect(TokenType::kName).text;
    }
  }
  return node;
}

ExpressionPtr ExpressionParser::ParsePrimary(bool with_namespace) {
  const Token& token = Current();
  switch (token.type) {
    case TokenType::kName:
      return ParseNamePrimary(with_namespace);
    case TokenType::kString: {
      ExpressionPtr node = MakeNode(ExpressionKind::kConstant, token.line);
      std::string text;
      while (At(TokenType::kString)) text += Next().text;
      node->value = Value::Text(std::move(text));
      return node;
    }
    case TokenType::kInteger:
    case TokenType::kFloat: {
      ExpressionPtr node = MakeNode(ExpressionKind::kConstant, token.line);
      node->value = Next().number;
      return node;
    }
    default:
      break;
  }
  if (SkipOperator("(")) {
    const Nested nested(this);
    TupleOptions options;
    options.parentheses = true;
    ExpressionPtr node = ParseTuple(options);
    ExpectOperator(")");
    return node;
  }
  if (token.IsOperator("[")) return ParseList();
  if (token.IsOperator("{")) return ParseDict();
  Fail(fmt::format("unexpected '{}'", Describe(token)));
}

bool ExpressionParser::AtTupleEnd(std::string_view end_name) const {
  return At(TokenType::kVariableEnd) || At(TokenType::kBlockEnd) || Current().IsOperator(")") ||
         (!end_name.empty() && Current().IsName(end_name));
}

ExpressionPtr ExpressionParser::ParseTuple(const TupleOptions& options) {
  const int line = Current().line;
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  for (;;) {
    if (!items.empty()) ExpectOperator(",");
    if (AtTupleEnd(options.end_name)) break;
    items.push_back(options.simplified ? ParsePrimary(options.with_namespace)
                                       : ParseExpression(options.with_conditional));
    if (!Current().IsOperator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return std::move(items[0]);
    if (!options.parentheses) {
      Fail(fmt::format("Expected an expression, got '{}'", Describe(Current())));
    }
  }
  ExpressionPtr node = MakeNode(ExpressionKind::kTuple, line);
  for (ExpressionPtr& item : items) Adopt(node.get(), std::move(item));
  return node;
}

ExpressionPtr ExpressionParser::ParseList() {
  const int line = Next().line;
  ExpressionPtr node = MakeNode(ExpressionKind::kList, line);
  while (!Current().IsOperator("]")) {
    if (!node->items.empty()) ExpectOperator(",");
    if (Current().IsOperator("]")) break;
    Adopt(node.get(), ParseExpression());
  }
  ExpectOperator("]");
  return node;
}

ExpressionPtr ExpressionParser::ParseDict() {
  const int line = Next().line;
  ExpressionPtr node = MakeNode(ExpressionKind::kDict, line);
  while (!Current().IsOperator("}")) {
    if (!node->items.empty()) ExpectOperator(",");
    if (Current().IsOperator("}")) break;
    Adopt(node.get(), ParseExpression());
    ExpectOperator(":");
    Adopt(node.get(), ParseExpression());
  }
  ExpectOperator("}");
  return node;
}

ExpressionPtr ExpressionParser::ParsePostfix(ExpressionPtr node) {
  for (;;) {
    if (Current().IsOperator(".") || Current().IsOperator("[")) {
      node = ParseSubscript(std::move(node));
    } else if (Current().IsOperator("(")) {
      node = ParseCall(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr ExpressionParser::ParseFilterOrTest(ExpressionPtr node) {
  for (;;) {
    if (Current().IsOperator("|")) {
      node = ParseFilters(std::move(node), false);
    } else if (Current().IsName("is")) {
      node = ParseTest(std::move(node));
    } else if (Current().IsOperator("(")) {
      node = ParseCall(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr ExpressionParser::ParseSubscript(ExpressionPtr object) {
  const Token& token = Next();
  if (token.text == ".") {
    const Token& attribute = Next();
    if (attribute.type == TokenType::kName) {
      ExpressionPtr node = MakeNode(ExpressionKind::kAttribute, token.line, std::move(object));
      node->name = attribute.text;
      return node;
    }
    if (attribute.type != TokenType::kInteger) {
      FailAt(attribute.line, "expected name or number");
    }
    ExpressionPtr key = MakeNode(ExpressionKind::kConstant, attribute.line);
    key->value = attribute.number;
    return MakeNode(ExpressionKind::kItem, token.line, std::move(object), std::move(key));
  }
  ExpressionPtr node = ParseSubscribed(std::move(object));
  if (Current().IsOperator(",")) {
    if (node->kind == ExpressionKind::kSlice) Fail("invalid syntax: a slice inside a tuple");
    ExpressionPtr tuple = MakeNode(ExpressionKind::kTuple, token.line);
    Adopt(tuple.get(), std::move(node->items[1]));
    while (!Current().IsOperator("]")) {
      ExpectOperator(",");
      Adopt(tuple.get(), ParseExpression());
      if (Current().IsOperator(":")) Fail("invalid syntax: a slice inside a tuple");
    }
    Deepen(node.get(), tuple.get());
    node->items[1] = std::move(tuple);
  }
  ExpectOperator("]");
  return node;
}

// The inside of [...]: an item or a slice of `object`.
ExpressionPtr ExpressionParser::ParseSubscribed(ExpressionPtr object) {
  const int line = Current().line;
  ExpressionPtr first;
  if (Current().IsOperator("]")) {
    // jinja2 takes x[] for x[()].
    ExpressionPtr empty = MakeNode(ExpressionKind::kTuple, line);
    return MakeNode(ExpressionKind::kItem, line, std::move(object), std::move(empty));
  }
  if (!Current().IsOperator(":")) {
    first = ParseExpression();
    if (!Current().IsOperator(":")) {
      return MakeNode(ExpressionKind::kItem, line, std::move(object), std::move(first));
    }
  }
  Next();
  ExpressionPtr node = MakeNode(ExpressionKind::kSlice, line, std::move(object), std::move(first));
  const auto at_end = [this] {
    return Current().IsOperator("]") || Current().IsOperator(",") || Current().IsOperator(":");
  };
  Adopt(node.get(), at_end() ? nullptr : ParseExpression());
  const bool has_step = SkipOperator(":");
  Adopt(node.get(), !has_step || at_end() ? nullptr : ParseExpression());
  return node;
}

// The arguments in parentheses at the current token become those of `node`.
void ExpressionParser::AdoptArguments(Expression* node) {
  const int line = Current().line;
  ExpectOperator("(");
  Arguments& arguments = node->arguments;
  const auto ensure = [line](bool condition) {
    if (!condition) FailAt(line, "invalid syntax for function call expression");
  };
  bool require_comma = false;
  while (!Current().IsOperator(")")) {
    if (require_comma) {
      ExpectOperator(",");
      if (Current().IsOperator(")")) break;
    }
    require_comma = true;
    if (SkipOperator("*")) {
      ensure(!arguments.splat && !arguments.double_splat);
      arguments.splat = ParseExpression();
    } else if (SkipOperator("**")) {
      ensure(!arguments.double_splat);
      arguments.double_splat = ParseExpression();
    } else if (At(TokenType::kName) && Look().IsOperator("=")) {
      ensure(!arguments.double_splat);
      std::string name = Next().text;
      Next();
      const auto same = [&](const auto& argument) { return argument.first == name; };
      if (std::any_of(arguments.named.begin(), arguments.named.end(), same)) {
        FailAt(line, fmt::format("keyword argument repeated: {}", name));
      }
      arguments.named.emplace_back(std::move(name), ParseExpression());
    } else {
      ensure(!arguments.splat && !arguments.double_splat && arguments.named.empty());
      arguments.positional.push_back(ParseExpression());
    }
  }
  ExpectOperator(")");
  for (const auto& argument : arguments.positional) Deepen(node, argument.get());
  for (const auto& [name, argument] : arguments.named) Deepen(node, argument.get());
  Deepen(node, arguments.splat.get());
  Deepen(node, arguments.double_splat.get());
}

ExpressionPtr ExpressionParser::ParseCall(ExpressionPtr callee) {
  const int line = Current().line;
  ExpressionPtr node = MakeNode(ExpressionKind::kCall, line, std::move(callee));
  AdoptArguments(node.get());
  return node;
}

std::string ExpressionParser::ParseDottedName() {
  std::string name = Expect(TokenType::kName).text;
  while (SkipOperator(".")) name += "." + Expect(TokenType::kName).text;
  return name;
}

ExpressionPtr ExpressionParser::ParseFilters(ExpressionPtr subject, bool inline_start) {
  while (inline_start || Current().IsOperator("|")) {
    if (!inline_start) Next();
    inline_start = false;
    const int line = Current().line;
    std::string name = ParseDottedName();
    ExpressionPtr node = MakeNode(ExpressionKind::kFilter, line, std::move(subject));
    node->name = std::move(name);
    if (Current().IsOperator("(")) AdoptArguments(node.get());
    subject = std::move(node);
  }
  return subject;
}

ExpressionPtr ExpressionParser::ParseTest(ExpressionPtr subject) {
  const int line = Next().line;
  const bool negated = SkipName("not");
  ExpressionPtr node = MakeNode(ExpressionKind::kTest, line, std::move(subject));
  node->name = ParseDottedName();
  const bool ends = Current().IsName("else") || Current().IsName("or") || Current().IsName("and");
  const bool starts = At(TokenType::kName) || At(TokenType::kString) || At(TokenType::kInteger) ||
                      At(TokenType::kFloat) || Current().IsOperator("[") ||
                      Current().IsOperator("{");
  if (Current().IsOperator("(")) {
    AdoptArguments(node.get());
  } else if (starts && !ends) {
    if (Current().IsName("is")) Fail("You cannot chain multiple tests with is");
    node->arguments.positional.push_back(ParsePostfix(ParsePrimary(false)));
    Deepen(node.get(), node->arguments.positional[0].get());
  }
  return negated ? MakeNode(ExpressionKind::kNot, line, std::move(node)) : std::move(node);
}

ExpressionPtr ExpressionParser::ParseTarget(std::string_view end_name, bool with_namespace) {
  TupleOptions options;
  options.simplified = true;
  options.end_name = end_name;
  options.with_namespace = with_namespace;
  ExpressionPtr target = ParseTuple(options);
  CheckTarget(*target);
  return target;
}

ExpressionPtr ExpressionParser::ParseNameTarget() {
  const Token& token = Expect(TokenType::kName);
  ExpressionPtr node = MakeNode(ExpressionKind::kName, token.line);
  node->name = token.text;
  constexpr std::string_view kReserved[] = {"true", "false", "none", "True", "False", "None"};
  if (std::find(std::begin(kReserved), std::end(kReserved), node->name) != std::end(kReserved)) {
    FailAt(token.line, "can't assign to 'name'");
  }
  return node;
}

void ExpressionParser::CheckTarget(const Expression& target) {
  switch (target.kind) {
    case ExpressionKind::kName:
    case ExpressionKind::kNamespaceRef:
      return;
    case ExpressionKind::kTuple:
      for (const ExpressionPtr& item : target.items) {
        if (item->kind != ExpressionKind::kName && item->kind != ExpressionKind::kNamespaceRef &&
            item->kind != ExpressionKind::kTuple) {
          FailAt(target.line, "can't assign to 'tuple'");
        }
        CheckTarget(*item);
      }
      return;
    default:
      FailAt(target.line, fmt::format("can't assign to '{}'", NodeName(target.kind)));
  }
}

}  // namespace slm::text::jinja
