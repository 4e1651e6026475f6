#include "text/jinja_lexer.h"

#include <fmt/core.h>

#include <algorithm>

#include "text/jinja_failure.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

constexpr size_t kNone = std::string_view::npos;

// Line breaks become \n; one break at the end of the template goes.
std::string NormalizeBreaks(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

std::string PythonChar(char32_t code) {
  std::string text;
  AppendCodePoint(&text, code);
  std::string quoted;
  AppendQuoted(&quoted, text);
  return quoted;
}

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)), text_(source_) {}

  std::vector<Token> Run() {
    while (pos_ < text_.size()) Root();
    Add(TokenType::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void Fail(std::string message) const {
    throw SyntaxFailure{line_, std::move(message), FailureKind::kSyntax};
  }

  void Add(TokenType type, std::string text) { tokens_.push_back({type, line_, std::move(text)}); }

  char At(size_t pos) const { return pos < text_.size() ? text_[pos] : '\0'; }
  bool StartsWith(size_t pos, std::string_view what) const {
    return text_.substr(std::min(pos, text_.size())).starts_with(what);
  }

  size_t SkipSpace(size_t pos) const {
    while (pos < text_.size()) {
      size_t next = pos;
      if (!IsSpace(NextCodePoint(text_, &next))) break;
      pos = next;
    }
    return pos;
  }

  // Moves behind `end`, counting lines.
  void Advance(size_t end) {
    const std::string_view passed = text_.substr(pos_, end - pos_);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    line_starting_ = !passed.empty() && passed.back() == '\n';
    pos_ = end;
  }

  // Data up to a tag at `tag`, with what the tag strips from it. `sign` is the tag's '-' or '+'.
  void AddData(size_t tag, char sign, bool is_variable) {
    std::string_view data = text_.substr(pos_, tag - pos_);
    if (sign == '-') {
      data = StripSpace(data, false, true);
    } else if (sign != '+' && !is_variable) {
      const size_t line_begin = data.rfind('\n') == kNone ? 0 : data.rfind('\n') + 1;
      const std::string_view rest = data.substr(line_begin);
      if ((line_begin > 0 || line_starting_) && StripSpace(rest, true, true).empty()) {
        data = data.substr(0, line_begin);
      }
    }
    if (!data.empty()) Add(TokenType::kData, std::string(data));
    Advance(tag);
  }

  char SignAt(size_t pos) const { return At(pos) == '-' || At(pos) == '+' ? At(pos) : '\0'; }

  // Template data up to and with the beginning of the next tag.
  void Root() {
    size_t tag = pos_;
    for (;; ++tag) {
      tag = text_.find('{', tag);
      if (tag == kNone) break;
      if (At(tag + 1) == '{' || At(tag + 1) == '%' || At(tag + 1) == '#') break;
    }
    if (tag == kNone) {
      Add(TokenType::kData, std::string(text_.substr(pos_)));
      Advance(text_.size());
      return;
    }
    const char kind = At(tag + 1);
    const char sign = SignAt(tag + 2);
    AddData(tag, sign, kind == '{');
    const size_t after = tag + 2 + (sign != 0 ? 1 : 0);
    if (kind == '#') {
      Comment(after);
    } else if (const size_t raw = kind == '%' ? RawBegin(after) : kNone; raw != kNone) {
      Raw(raw);
    } else {
      Add(kind == '{' ? TokenType::kVariableBegin : TokenType::kBlockBegin, "");
      Advance(after);
      Tag(kind == '{');
    }
  }

  // The end of a tag "-%}", "+%}" or "%}" at `pos`, with the space that it swallows, or npos.
  size_t TagEnd(size_t pos, std::string_view mark, bool trims, bool plus) const {
    if (At(pos) == '-' && StartsWith(pos + 1, mark)) return SkipSpace(pos + 1 + mark.size());
    if (plus && At(pos) == '+' && StartsWith(pos + 1, mark)) return pos + 1 + mark.size();
    if (!StartsWith(pos, mark)) return kNone;
    pos += mark.size();
    return trims && At(pos) == '\n' ? pos + 1 : pos;
  }

  void Comment(size_t begin) {
    Advance(begin);
    if (begin == text_.size()) return;
    for (size_t pos = begin; pos < text_.size(); ++pos) {
      const size_t end = TagEnd(pos, "#}", true, true);
      if (end == kNone) continue;
      Advance(end);
      return;
    }
    Fail("Missing end of comment tag");
  }

  // Behind "{% raw %}" when the tag whose inside starts at `pos` is that, else npos.
  size_t RawBegin(size_t pos) const {
    pos = SkipSpace(pos);
    if (!StartsWith(pos, "raw")) return kNone;
    return TagEnd(SkipSpace(pos + 3), "%}", /*trims=*/false, /*plus=*/false);
  }

  void Raw(size_t begin) {
    Advance(begin);
    if (begin == text_.size()) return;
    for (size_t tag = begin; (tag = text_.find("{%", tag)) != kNone; ++tag) {
      const char sign = SignAt(tag + 2);
      const size_t name = SkipSpace(tag + 2 + (sign != 0 ? 1 : 0));
      if (!StartsWith(name, "endraw")) continue;
      const size_t end = TagEnd(SkipSpace(name + 6), "%}", true, true);
      if (end == kNone) continue;
      AddData(tag, sign, /*is_variable=*/false);
      Advance(end);
      return;
    }
    Fail("Missing end of raw directive");
  }

  // The inside of a variable or block tag, up to and with its end.
  void Tag(bool is_variable) {
    std::vector<char> open;
    while (pos_ < text_.size()) {
      const size_t end = TagEnd(pos_, is_variable ? "}}" : "%}", !is_variable, !is_variable);
      if (open.empty() && end != kNone) {
        Add(is_variable ? TokenType::kVariableEnd : TokenType::kBlockEnd, "");
        Advance(end);
        return;
      }
      const size_t space = SkipSpace(pos_);
      if (space != pos_) {
        Advance(space);
      } else if (!Number() && !Name() && !String()) {
        Operator(&open);
      }
    }
  }

  size_t Digits(size_t pos) const {  // (\d+_)*\d+ ; npos when there is none
    size_t end = kNone;
    while (pos < text_.size() && std::isdigit(static_cast<unsigned char>(text_[pos]))) {
      while (std::isdigit(static_cast<unsigned char>(At(pos)))) ++pos;
      end = pos;
      if (At(pos) != '_') break;
      ++pos;
    }
    return end;
  }

  size_t FloatEnd() const {
    if (pos_ > 0 && text_[pos_ - 1] == '.') return kNone;
    const size_t whole = Digits(pos_);
    if (whole == kNone) return kNone;
    const auto exponent = [&](size_t pos) {
      if (At(pos) != 'e' && At(pos) != 'E') return kNone;
      ++pos;
      if (At(pos) == '+' || At(pos) == '-') ++pos;
      return Digits(pos);
    };
    const size_t fraction = At(whole) == '.' ? Digits(whole + 1) : kNone;
    if (fraction == kNone) return exponent(whole);
    const size_t scaled = exponent(fraction);
    return scaled == kNone ? fraction : scaled;
  }

  size_t IntegerEnd() const {
    const auto run = [&](size_t pos, auto accepts) {
      size_t end = pos;
      for (;;) {
        const size_t digit = At(end) == '_' ? end + 1 : end;
        if (!accepts(At(digit))) return end;
        end = digit + 1;
      }
    };
    const char first = At(pos_);
    if (first < '0' || first > '9') return kNone;
    if (first != '0') return run(pos_ + 1, [](char c) { return c >= '0' && c <= '9'; });
    const char letter = static_cast<char>(At(pos_ + 1) | 0x20);
    size_t end = pos_ + 2;
    if (letter == 'x') end = run(pos_ + 2, IsHex);
    if (letter == 'o') end = run(pos_ + 2, [](char c) { return c >= '0' && c <= '7'; });
    if (letter == 'b') end = run(pos_ + 2, [](char c) { return c == '0' || c == '1'; });
    if (end > pos_ + 2) return end;
    return run(pos_ + 1, [](char c) { return c == '0'; });
  }

  bool Number() {
    const bool is_float = FloatEnd() != kNone;
    const size_t end = is_float ? FloatEnd() : IntegerEnd();
    if (end == kNone) return false;
    const std::string digits(text_.substr(pos_, end - pos_));
    Token token{is_float ? TokenType::kFloat : TokenType::kInteger, line_, digits};
    try {
      token.number = is_float ? Value::Float(ParseFloat(digits).value_or(0))
                              : Value::Integer(ParseInt(digits, 0).value_or(0));
    } catch (const Failure& failure) {
      Fail(failure.what());
    }
    tokens_.push_back(std::move(token));
    Advance(end);
    return true;
  }

  bool Name() {
    size_t end = pos_;
    while (end < text_.size()) {
      size_t next = end;
      if (!IsIdentifierPart(NextCodePoint(text_, &next))) break;
      end = next;
    }
    if (end == pos_) return false;
    size_t first = pos_;
    if (!IsIdentifierStart(NextCodePoint(text_, &first))) Fail("Invalid character in identifier");
    Add(TokenType::kName, std::string(text_.substr(pos_, end - pos_)));
    Advance(end);
    return true;
  }

  bool String() {
    const char quote = At(pos_);
    if (quote != '\'' && quote != '"') return false;
    size_t end = pos_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return false;
    Add(TokenType::kString, Unescape(text_.substr(pos_ + 1, end - pos_ - 1)));
    Advance(end + 1);
    return true;
  }

  // Python's unicode-escape codec.
  std::string Unescape(std::string_view text) const {
    std::string out;
    for (size_t pos = 0; pos < text.size();) {
      if (text[pos] != '\\') {
        out += text[pos++];
        continue;
      }
      ++pos;
      constexpr std::string_view kLetters = "\\'\"abfnrtv";
      constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
      const char c = text[pos];
      if (c == '\n') {
        ++pos;
      } else if (const size_t simple = kLetters.find(c); simple != kNone) {
        out += kMeanings[simple];
        ++pos;
      } else if (c >= '0' && c <= '7') {
        char32_t code = 0;
        for (int i = 0; i < 3 && pos < text.size() && text[pos] >= '0' && text[pos] <= '7'; ++i) {
          code = code * 8 + static_cast<char32_t>(text[pos++] - '0');
        }
        AppendCodePoint(&out, code);
      } else if (c == 'x' || c == 'u' || c == 'U') {
        HexEscape(text, &pos, &out);
      } else if (c == 'N') {
        Fail("\\N{...} escapes are not supported");
      } else {
        out += '\\';
        OtherEscape(text, &pos, &out);
      }
    }
    return out;
  }

  static char32_t ReadHex(std::string_view text, size_t pos, size_t count) {
    if (pos + count > text.size()) return 0xFFFFFFFF;
    char32_t code = 0;
    for (size_t i = 0; i < count; ++i) {
      if (!IsHex(text[pos + i])) return 0xFFFFFFFF;
      const char c = text[pos + i];
      code = code * 16 + static_cast<char32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return code;
  }

  void HexEscape(std::string_view text, size_t* pos, std::string* out) const {
    const char kind = text[*pos];
    const size_t count = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
    char32_t code = ReadHex(text, *pos + 1, count);
    if (code == 0xFFFFFFFF) {
      Fail(kind == 'x' ? "truncated \\xXX escape" : fmt::format("truncated \\{}XXXX escape", kind));
    }
    if (code > 0x10FFFF) Fail("illegal Unicode character");
    *pos += 1 + count;
    // Python would keep two surrogates, which no encoding can hold; together they are a character.
    const bool high = code >= 0xD800 && code <= 0xDBFF;
    if (high && text.substr(*pos).starts_with("\\u")) {
      const char32_t low = ReadHex(text, *pos + 2, 4);
      if (low >= 0xDC00 && low <= 0xDFFF) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        *pos += 6;
      }
    }
    AppendCodePoint(out, code);
  }

  // jinja2 writes non-ASCII characters as escapes before decoding, so that a backslash before one
  // leaves its escape as text.
  static void OtherEscape(std::string_view text, size_t* pos, std::string* out) {
    const char32_t code = NextCodePoint(text, pos);
    if (code < 0x80) {
      AppendCodePoint(out, code);
    } else if (code < 0x100) {
      *out += fmt::format("x{:02x}", static_cast<uint32_t>(code));
    } else if (code < 0x10000) {
      *out += fmt::format("u{:04x}", static_cast<uint32_t>(code));
    } else {
      *out += fmt::format("U{:08x}", static_cast<uint32_t>(code));
    }
  }

  void Operator(std::vector<char>* open) {
    constexpr std::string_view kDouble[] = {"//", "**", "==", "!=", ">=", "<="};
    constexpr std::string_view kSingle = "+-/*%~[](){}><=.:|,;";
    size_t size = 0;
    for (std::string_view symbol : kDouble) {
      if (StartsWith(pos_, symbol)) size = 2;
    }
    if (size == 0 && kSingle.find(At(pos_)) != kNone) size = 1;
    if (size == 0) {
      size_t next = pos_;
      Fail(fmt::format("unexpected char {} at {}", PythonChar(NextCodePoint(text_, &next)),
                       CountCodePoints(text_.substr(0, pos_))));
    }
    const std::string symbol(text_.substr(pos_, size));
    if (symbol == "{") open->push_back('}');
    if (symbol == "(") open->push_back(')');
    if (symbol == "[") open->push_back(']');
    if (symbol == "}" || symbol == ")" || symbol == "]") {
      if (open->empty()) Fail(fmt::format("unexpected '{}'", symbol));
      if (open->back() != symbol[0]) {
        Fail(fmt::format("unexpected '{}', expected '{}'", symbol, open->back()));
      }
      open->pop_back();
    }
    Add(TokenType::kOperator, symbol);
    Advance(pos_ + size);
  }

  const std::string source_;
  const std::string_view text_;
  size_t pos_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenize(std::string_view source) {
  return Lexer(NormalizeBreaks(source)).Run();
}

std::string Describe(const Token& token) {
  switch (token.type) {
    case TokenType::kData:
      return "template data / text";
    case TokenType::kVariableBegin:
      return "begin of print statement";
    case TokenType::kVariableEnd:
      return "end of print statement";
    case TokenType::kBlockBegin:
      return "begin of statement block";
    case TokenType::kBlockEnd:
      return "end of statement block";
    case TokenType::kString:
      return "string";
    case TokenType::kInteger:
      return "integer";
    case TokenType::kFloat:
      return "float";
    case TokenType::kEnd:
      return "end of template";
    case TokenType::kName:
    case TokenType::kOperator:
      return token.text;
  }
  return "";
}

}  // namespace slm::text::jinja
