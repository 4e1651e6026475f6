// Splits a template into tokens, with the whitespace rules of trim_blocks and lstrip_blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_failure.h"
#include "text/jinja_value.h"

namespace slm::text::jinja {

enum class TokenType : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenType type;
  int line;
  std::string text;  // of data, names and operators; the unescaped value of strings
  Value number = {};

  bool IsOperator(std::string_view symbol) const {
    return type == TokenType::kOperator && text == symbol;
  }
  bool IsName(std::string_view name) const { return type == TokenType::kName && text == name; }
};

// A syntax error with its line, on the way to Template::Parse.
struct SyntaxFailure {
  int line;
  std::string message;
  FailureKind kind = FailureKind::kSyntax;
};

// `source` is valid UTF-8. The last token is kEnd. Throws SyntaxFailure.
std::vector<Token> Tokenize(std::string_view source);

// As error messages name a token.
std::string Describe(const Token& token);

}  // namespace slm::text::jinja
