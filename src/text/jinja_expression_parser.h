// The expression half of the parser.
#pragma once

#include <fmt/core.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_lexer.h"

namespace slm::text::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(const std::vector<Token>& tokens) : tokens_(tokens) {}

 protected:
  // Guards one more level of nesting, of expressions or statements.
  class Nested {
   public:
    explicit Nested(ExpressionParser* parser) : parser_(parser) {
      if (++parser_->depth_ > kMaxDepth) parser_->Fail("the template is nested too deeply");
    }
    ~Nested() { --parser_->depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    ExpressionParser* parser_;
  };

  const Token& Current() const { return tokens_[position_]; }
  const Token& Look() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  const Token& Next();
  bool At(TokenType type) const { return Current().type == type; }
  bool SkipName(std::string_view name);
  bool SkipOperator(std::string_view symbol);
  const Token& Expect(TokenType type);
  void ExpectOperator(std::string_view symbol);
  void ExpectName(std::string_view name);
  [[noreturn]] void Fail(const std::string& message) const { FailAt(Current().line, message); }
  [[noreturn]] static void FailAt(int line, const std::string& message);

  ExpressionPtr ParseExpression(bool with_conditional = true);
  struct TupleOptions {
    bool simplified = false;  // names and literals only
    bool with_conditional = true;
    bool parentheses = false;
    bool with_namespace = false;
    std::string_view end_name = {};  // a name that also ends the tuple
  };
  ExpressionPtr ParseTuple(const TupleOptions& options);
  ExpressionPtr ParseTarget(std::string_view end_name, bool with_namespace);
  ExpressionPtr ParseNameTarget();
  // A chain of filters on `subject`, which may be null. `inline_start`: without the first '|'.
  ExpressionPtr ParseFilters(ExpressionPtr subject, bool inline_start);

 private:
  static constexpr int kMaxDepth = 300;      // of the parser's own recursion
  static constexpr int kMaxTreeDepth = 400;  // a + b + c + ... nests without recursion

  static ExpressionPtr MakeNode(ExpressionKind kind, int line);
  static ExpressionPtr MakeNode(ExpressionKind kind, int line, ExpressionPtr item);
  static ExpressionPtr MakeNode(ExpressionKind kind, int line, ExpressionPtr a, ExpressionPtr b);
  // Every child of a node comes in through these, which watch the depth of the tree.
  static void Adopt(Expression* node, ExpressionPtr item);
  void AdoptArguments(Expression* node);
  static void Deepen(Expression* node, const Expression* child);

  ExpressionPtr ParseConditional();
  ExpressionPtr ParseOr();
  ExpressionPtr ParseAnd();
  ExpressionPtr ParseNot();
  ExpressionPtr ParseCompare();
  ExpressionPtr ParseSum();
  ExpressionPtr ParseConcat();
  ExpressionPtr ParseProduct();
  ExpressionPtr ParsePower();
  ExpressionPtr ParseUnary(bool with_filter);
  ExpressionPtr ParsePrimary(bool with_namespace);
  ExpressionPtr ParseNamePrimary(bool with_namespace);
  ExpressionPtr ParseList();
  ExpressionPtr ParseDict();
  ExpressionPtr ParsePostfix(ExpressionPtr node);
  ExpressionPtr ParseFilterOrTest(ExpressionPtr node);
  ExpressionPtr ParseSubscript(ExpressionPtr node);
  ExpressionPtr ParseSubscribed(ExpressionPtr object);
  ExpressionPtr ParseCall(ExpressionPtr node);
  ExpressionPtr ParseTest(ExpressionPtr node);
  std::string ParseDottedName();
  bool AtTupleEnd(std::string_view end_name) const;
  static void CheckTarget(const Expression& target);

  const std::vector<Token>& tokens_;
  size_t position_ = 0;
  int depth_ = 0;
};

}  // namespace slm::text::jinja
