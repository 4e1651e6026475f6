#include "text/jinja_parser.h"

#include <algorithm>

#include "text/jinja_expression_parser.h"

namespace slm::text::jinja {
namespace {

using StatementPtr = std::unique_ptr<Statement>;
using Names = std::vector<std::string_view>;

std::string Alternatives(const Names& names) {
  std::string out;
  for (std::string_view name : names) {
    if (!out.empty()) out += " or ";
    out += fmt::format("'{}'", name);
  }
  return out;
}

class Parser : private ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Body Run() { return ParseBody({}); }

 private:
  static StatementPtr MakeStatement(StatementKind kind, int line) {
    auto statement = std::make_unique<Statement>();
    statement->kind = kind;
    statement->line = line;
    return statement;
  }

  // Statements up to a tag that is one of `ends`, whose name is then the current token; up to the
  // end of the template when there are none.
  Body ParseBody(const Names& ends) {
    const Nested nested(this);
    if (!ends.empty()) end_stack_.push_back(ends);
    Body body;
    while (!At(TokenType::kEnd)) {
      const Token& token = Next();
      if (token.type == TokenType::kData) {
        body.push_back(MakeStatement(StatementKind::kText, token.line));
        body.back()->text = token.text;
      } else if (token.type == TokenType::kVariableBegin) {
        body.push_back(MakeStatement(StatementKind::kOutput, token.line));
        body.back()->expression = ParseTuple({});
        Expect(TokenType::kVariableEnd);
      } else {
        const bool ended = std::any_of(ends.begin(), ends.end(), [this](std::string_view name) {
          return Current().IsName(name);
        });
        if (ended) {
          end_stack_.pop_back();
          return body;
        }
        ParseStatement(&body);
        Expect(TokenType::kBlockEnd);
      }
    }
    if (!ends.empty()) FailUnfinished(nullptr);
    return body;
  }

  // The body of a tag: a colon is allowed, the end of the tag is due, `ends` stay current.
  Body ParseTagBody(const Names& ends) {
    SkipOperator(":");
    Expect(TokenType::kBlockEnd);
    return ParseBody(ends);
  }

  Body ParseTagBodyAndEnd(std::string_view end) {
    Body body = ParseTagBody({end});
    Next();
    return body;
  }

  [[noreturn]] void FailUnfinished(const Token* unknown) {
    std::string message = unknown == nullptr
                              ? "Unexpected end of template."
                              : fmt::format("Encountered unknown tag '{}'.", unknown->text);
    if (!end_stack_.empty()) {
      const bool expected =
          unknown != nullptr &&
          std::any_of(end_stack_.begin(), end_stack_.end(), [&](const Names& names) {
            return std::find(names.begin(), names.end(), unknown->text) != names.end();
          });
      message += fmt::format(
          expected ? fmt::runtime(" You probably made a nesting mistake. Jinja is expecting this "
                                  "tag, but currently looking for {}.")
                   : fmt::runtime(" Jinja was looking for the following tags: {}."),
          Alternatives(end_stack_.back()));
    }
    if (!tag_stack_.empty()) {
      message +=
          fmt::format(" The innermost block that needs to be closed is '{}'.", tag_stack_.back());
    }
    FailAt(unknown == nullptr ? Current().line : unknown->line, message);
  }

  void ParseStatement(Body* body) {
    const Token& token = Current();
    if (token.type != TokenType::kName) FailAt(token.line, "tag name expected");
    using Method = void (Parser::*)(Statement*);
    struct Tag {
      std::string_view name;
      StatementKind kind;
      Method parse;
    };
    static constexpr Tag kTags[] = {
        {"for", StatementKind::kFor, &Parser::ParseFor},
        {"if", StatementKind::kIf, &Parser::ParseIf},
        {"set", StatementKind::kSet, &Parser::ParseSet},
        {"with", StatementKind::kWith, &Parser::ParseWith},
        {"macro", StatementKind::kMacro, &Parser::ParseMacro},
        {"call", StatementKind::kCallBlock, &Parser::ParseCallBlock},
        {"filter", StatementKind::kFilterBlock, &Parser::ParseFilterBlock},
        {"generation", StatementKind::kGeneration, &Parser::ParseGeneration},
        {"block", StatementKind::kBlock, &Parser::ParseBlock},
        {"autoescape", StatementKind::kScope, &Parser::ParseAutoescape},
        {"break", StatementKind::kBreak, &Parser::ParseNothing},
        {"continue", StatementKind::kContinue, &Parser::ParseNothing},
        {"extends", StatementKind::kUnsupported, &Parser::ParseForeign},
        {"include", StatementKind::kUnsupported, &Parser::ParseForeign},
        {"import", StatementKind::kUnsupported, &Parser::ParseForeign},
        {"from", StatementKind::kUnsupported, &Parser::ParseForeign},
    };
    if (token.text == "print") {
      ParsePrint(body);
      return;
    }
    const auto* tag = std::find_if(std::begin(kTags), std::end(kTags),
                                   [&](const Tag& entry) { return entry.name == token.text; });
    if (tag == std::end(kTags)) FailUnfinished(&token);
    tag_stack_.push_back(token.text);
    Next();
    StatementPtr statement = MakeStatement(tag->kind, token.line);
    (this->*tag->parse)(statement.get());
    body->push_back(std::move(statement));
    tag_stack_.pop_back();
  }

  void ParseNothing(Statement*) {}

  void ParsePrint(Body* body) {
    const int line = Next().line;
    for (bool first = true; !At(TokenType::kBlockEnd); first = false) {
      if (!first) ExpectOperator(",");
      body->push_back(MakeStatement(StatementKind::kOutput, line));
      body->back()->expression = ParseExpression();
    }
  }

  void ParseFor(Statement* node) {
    node->target = ParseTarget("in", /*with_namespace=*/false);
    ExpectName("in");
    TupleOptions options;
    options.with_conditional = false;
    options.end_name = "recursive";
    node->expression = ParseTuple(options);
    if (SkipName("if")) node->condition = ParseExpression();
    node->recursive = SkipName("recursive");
    node->body = ParseTagBody({"endfor", "else"});
    if (Next().text == "else") node->else_body = ParseTagBodyAndEnd("endfor");
  }

  void ParseIf(Statement* node) {
    TupleOptions options;
    options.with_conditional = false;
    for (;;) {
      ExpressionPtr test = ParseTuple(options);
      node->branches.push_back({std::move(test), ParseTagBody({"elif", "else", "endif"})});
      const Token& end = Next();
      if (end.text == "elif") continue;
      if (end.text == "else") node->else_body = ParseTagBodyAndEnd("endif");
      return;
    }
  }

  void ParseSet(Statement* node) {
    node->target = ParseTarget({}, /*with_namespace=*/true);
    if (SkipOperator("=")) {
      node->expression = ParseTuple({});
      return;
    }
    node->kind = StatementKind::kSetBlock;
    node->expression = ParseFilters(nullptr, /*inline_start=*/false);
    node->body = ParseTagBodyAndEnd("endset");
  }

  void ParseWith(Statement* node) {
    while (!At(TokenType::kBlockEnd)) {
      if (!node->bindings.empty()) ExpectOperator(",");
      ExpressionPtr target = ParseTarget({}, /*with_namespace=*/false);
      ExpectOperator("=");
      node->bindings.emplace_back(std::move(target), ParseExpression());
    }
    node->body = ParseTagBodyAndEnd("endwith");
  }

  void ParseSignature(Callable* callable) {
    ExpectOperator("(");
    while (!Current().IsOperator(")")) {
      if (!callable->parameters.empty()) ExpectOperator(",");
      ExpressionPtr target = ParseNameTarget();
      const bool doubled = std::find(callable->parameters.begin(), callable->parameters.end(),
                                     target->name) != callable->parameters.end();
      if (doubled) {
        Fail(fmt::format("duplicate argument '{}' in function definition", target->name));
      }
      callable->parameters.push_back(target->name);
      callable->targets.push_back(std::move(target));
      if (SkipOperator("=")) {
        callable->defaults.push_back(ParseExpression());
      } else if (!callable->defaults.empty()) {
        Fail("non-default argument follows default argument");
      }
    }
    ExpectOperator(")");
  }

  void ParseMacro(Statement* node) {
    node->target = ParseNameTarget();
    node->callable.name = node->target->name;
    ParseSignature(&node->callable);
    node->body = ParseTagBodyAndEnd("endmacro");
  }

  void ParseCallBlock(Statement* node) {
    if (Current().IsOperator("(")) ParseSignature(&node->callable);
    node->expression = ParseExpression();
    if (node->expression->kind != ExpressionKind::kCall) FailAt(node->line, "expected call");
    node->body = ParseTagBodyAndEnd("endcall");
  }

  void ParseGeneration(Statement* node) { node->body = ParseTagBodyAndEnd("endgeneration"); }

  void ParseFilterBlock(Statement* node) {
    node->expression = ParseFilters(nullptr, /*inline_start=*/true);
    node->body = ParseTagBodyAndEnd("endfilter");
  }

  void ParseBlock(Statement* node) {
    node->name = Expect(TokenType::kName).text;
    SkipName("scoped");
    SkipName("required");
    if (Current().IsOperator("-")) {
      Fail(
          "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, "
          "use an underscore instead.");
    }
    node->body = ParseTagBodyAndEnd("endblock");
    SkipName(node->name);
  }

  // Escaping is for HTML; a template that turns it off gets what it has anyway.
  void ParseAutoescape(Statement* node) {
    const ExpressionPtr mode = ParseExpression();
    if (mode->kind != ExpressionKind::kConstant || IsTrue(mode->value)) {
      FailAt(node->line, "autoescape is not supported");
    }
    node->body = ParseTagBodyAndEnd("endautoescape");
  }

  // Tags that need other templates parse, but fail when they are reached, as without a loader.
  void ParseForeign(Statement* node) {
    node->name = tag_stack_.back();
    while (!At(TokenType::kBlockEnd) && !At(TokenType::kEnd)) Next();
  }

  std::vector<Names> end_stack_;
  std::vector<std::string> tag_stack_;
};

}  // namespace

Body ParseTemplate(const std::vector<Token>& tokens) { return Parser(tokens).Run(); }

}  // namespace slm::text::jinja
