// printf-style formatting: text % args.
#include "text/jinja_format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/html.h"
#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

constexpr int64_t kMaxNumber = int64_t{1} << 31;

std::string Group(const std::string& digits, char separator, size_t every) {
  const size_t whole = std::min(digits.find_first_not_of("0123456789abcdefABCDEF"), digits.size());
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    if (i != 0 && (whole - i) % every == 0) out += separator;
    out += digits[i];
  }
  return out + digits.substr(whole);
}

std::string SignOf(bool negative, char style) {
  if (negative) return "-";
  return style == '-' ? "" : std::string(1, style);
}

// Walks one format string.
class PercentFormatter {
 public:
  PercentFormatter(const Value& format, const Value& args)
      : format_(format.text()), markup_(format.as<Str>().markup) {
    if (args.is(Type::kTuple)) {
      args_ = args.items();
    } else {
      args_ = {args};
      // Python takes everything with __getitem__ but str for a mapping.
      is_mapping_ = args.is(Type::kDict) || args.is(Type::kList) || args.is(Type::kUndefined) ||
                    args.is(Type::kRange);
    }
  }

  std::string Run() {
    std::string out;
    while (pos_ < format_.size()) {
      const char c = format_[pos_++];
      if (c == '%') {
        out += Conversion();
        Budget::CheckFits(static_cast<int64_t>(out.size()), 1);
      } else {
        out += c;
      }
    }
    if (next_ < args_.size() && !is_mapping_) {
      throw Failure(FailureKind::kType, "not all arguments converted during string formatting");
    }
    return out;
  }

 private:
  struct Flags {
    bool left = false;
    bool zero = false;
    NumberStyle style;
    int64_t width = 0;
  };

  char Peek() const {
    if (pos_ >= format_.size()) throw Failure(FailureKind::kValue, "incomplete format");
    return format_[pos_];
  }

  Value NextArgument() {
    if (key_value_) return *std::exchange(key_value_, std::nullopt);
    if (next_ >= args_.size()) {
      throw Failure(FailureKind::kType, "not enough arguments for format string");
    }
    return args_[next_++];
  }

  int64_t NumberOrStar() {
    if (Peek() != '*') return ReadNumber(format_, &pos_);
    ++pos_;
    const Value value = NextArgument();
    if (!value.is_integral()) throw Failure(FailureKind::kType, "* wants int");
    return ToInt64(value);
  }

  void ReadKey() {
    if (Peek() != '(') return;
    if (!is_mapping_) throw Failure(FailureKind::kType, "format requires a mapping");
    const size_t begin = ++pos_;
    for (int open = 1; open > 0; ++pos_) {
      if (pos_ >= format_.size()) throw Failure(FailureKind::kValue, "incomplete format key");
      if (format_[pos_] == '(') ++open;
      if (format_[pos_] == ')') --open;
    }
    const std::string key = format_.substr(begin, pos_ - 1 - begin);
    const Value& mapping = args_[0];
    if (!mapping.is(Type::kDict)) {
      throw Failure(FailureKind::kType, "{} indices must be integers or slices, not str",
                    TypeName(mapping));
    }
    const Value* found = mapping.as<Dict>().Find(key);
    if (found == nullptr) throw Failure(FailureKind::kKey, "'{}'", key);
    key_value_ = *found;
  }

  Flags ReadFlags() {
    Flags flags;
    for (;; ++pos_) {
      const char c = Peek();
      if (c == '-') {
        flags.left = true;
      } else if (c == '+') {
        flags.style.sign = '+';
      } else if (c == ' ') {
        if (flags.style.sign == '-') flags.style.sign = ' ';
      } else if (c == '#') {
        flags.style.alternate = true;
      } else if (c == '0') {
        flags.zero = true;
      } else {
        return flags;
      }
    }
  }

  std::string Conversion() {
    ReadKey();
    Flags flags = ReadFlags();
    flags.width = std::max(int64_t{-kMaxNumber}, NumberOrStar());
    if (flags.width < -1) {
      flags.left = true;
      flags.width = -flags.width;
    }
    if (Peek() == '.') {
      ++pos_;
      flags.style.precision = std::max(int64_t{0}, NumberOrStar());
    }
    if (Peek() == 'h' || Peek() == 'l' || Peek() == 'L') ++pos_;
    const char type = Peek();
    const size_t type_pos = pos_;
    const char32_t code = NextCodePoint(format_, &pos_);
    if (type == '%') return "%";
    if (std::string_view("srac").find(type) != std::string_view::npos) {
      return Text(type, flags);
    }
    if (std::string_view("diuoxXeEfFgG").find(type) != std::string_view::npos) {
      return Number(type, flags);
    }
    std::string shown;
    AppendCodePoint(&shown, code);
    throw Failure(FailureKind::kValue, "unsupported format character '{}' ({:#x}) at index {}",
                  shown, static_cast<uint32_t>(code),
                  CountCodePoints(std::string_view(format_).substr(0, type_pos)));
  }

  std::string Text(char type, const Flags& flags) {
    const Value value = NextArgument();
    std::string text;
    if (type == 'c') {
      text = Character(value);
    } else if (type == 's') {
      text = markup_ ? Escape(value) : ToText(value);
    } else {
      text = markup_ ? EscapeHtml(Repr(value)) : Repr(value);
    }
    if (flags.style.precision >= 0) {
      text.resize(CodePointOffset(text, static_cast<size_t>(flags.style.precision)));
    }
    return Pad("", text, flags.left ? '<' : '>', ' ', flags.width);
  }

  static std::string Character(const Value& value) {
    if (value.is(Type::kStr) && value.as<Str>().length == 1) return value.text();
    if (!value.is_integral()) throw Failure(FailureKind::kType, "%c requires int or char");
    if (value.as_int() < 0 || value.as_int() > 0x10FFFF) {
      throw Failure(FailureKind::kOverflow, "%c arg not in range(0x110000)");
    }
    std::string out;
    AppendCodePoint(&out, static_cast<char32_t>(value.as_int()));
    return out;
  }

  std::string Number(char type, Flags flags) {
    const Value value = NextArgument();
    if (value.is(Type::kUndefined)) ToIndex(value);  // throws
    const bool integral = std::string_view("diuoxX").find(type) != std::string_view::npos;
    flags.style.type = std::string_view("iu").find(type) != std::string_view::npos ? 'd' : type;
    NumberText text;
    if (!integral) {
      if (!value.is_number()) {
        throw Failure(FailureKind::kType, "must be real number, not {}", TypeName(value));
      }
      text = FormatFloat(ToDouble(value), flags.style);
    } else if (value.is_integral()) {
      text = FormatInteger(value.as_int(), flags.style);
    } else if (value.is(Type::kFloat) && flags.style.type == 'd') {
      text = FormatInteger(FloatToInt(value.as_float()), flags.style);
    } else {
      throw Failure(FailureKind::kType, "%{} format: {} is required, not {}", type,
                    flags.style.type == 'd' ? "a real number" : "an integer", TypeName(value));
    }
    const bool zeros = flags.zero && !flags.left;
    const char align = flags.left ? '<' : zeros ? '=' : '>';
    return Pad(text.prefix, text.digits, align, zeros ? '0' : ' ', flags.width);
  }

  const std::string& format_;
  const bool markup_;
  size_t pos_ = 0;
  std::vector<Value> args_;
  size_t next_ = 0;
  bool is_mapping_ = false;
  std::optional<Value> key_value_;
};

}  // namespace

int64_t ReadNumber(std::string_view text, size_t* pos) {
  int64_t value = -1;
  while (*pos < text.size() && text[*pos] >= '0' && text[*pos] <= '9') {
    value = std::max(value, int64_t{0}) * 10 + (text[(*pos)++] - '0');
    if (value > kMaxNumber) {
      throw Failure(FailureKind::kValue, "Too many decimal digits in format string");
    }
  }
  return value;
}

std::string Pad(const std::string& prefix, const std::string& body, char align, char32_t fill,
                int64_t width) {
  const auto length = static_cast<int64_t>(CountCodePoints(prefix) + CountCodePoints(body));
  if (width <= length) return prefix + body;
  Budget::CheckFits(width, 4);
  std::string unit;
  AppendCodePoint(&unit, fill);
  const int64_t missing = width - length;
  const int64_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  std::string before;
  for (int64_t i = 0; i < left; ++i) before += unit;
  std::string after;
  for (int64_t i = left; i < missing; ++i) after += unit;
  return align == '=' ? prefix + before + body + after : before + prefix + body + after;
}

NumberText FormatInteger(Int value, const NumberStyle& style) {
  const int base = style.type == 'b'                        ? 2
                   : style.type == 'o'                      ? 8
                   : style.type == 'x' || style.type == 'X' ? 16
                                                            : 10;
  NumberText out;
  out.prefix = SignOf(value < 0, style.sign);
  if (style.alternate && base != 10) out.prefix += std::string("0") + style.type;
  if (base == 10) {
    out.digits = IntText(value);
    if (value < 0) out.digits.erase(0, 1);
  } else {
    do {
      const int digit = std::abs(static_cast<int>(value % base));
      out.digits += (style.type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[digit];
      value /= base;
    } while (value != 0);
    std::reverse(out.digits.begin(), out.digits.end());
  }
  const auto size = static_cast<int64_t>(out.digits.size());
  if (style.precision > size) {
    Budget::CheckFits(style.precision, 1);
    out.digits.insert(0, std::string(static_cast<size_t>(style.precision - size), '0'));
  }
  if (style.grouping != 0) out.digits = Group(out.digits, style.grouping, base == 10 ? 3 : 4);
  return out;
}

NumberText FormatFloat(double value, const NumberStyle& style) {
  NumberText out;
  out.prefix = SignOf(std::signbit(value) && !std::isnan(value), style.sign);
  value = std::abs(value);
  const bool percent = style.type == '%';
  if (percent) value *= 100;
  const char type = percent ? 'f' : style.type;
  if (!std::isfinite(value)) {
    const bool upper = type == 'E' || type == 'F' || type == 'G';
    out.digits = std::isnan(value) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
    if (percent) out.digits += '%';
    return out;
  }
  const int64_t precision = style.precision < 0 ? 6 : style.precision;
  Budget::CheckFits(precision + 400, 2);
  const std::string conversion = std::string(style.alternate ? "%#.*" : "%.*") + type;
  std::string digits(static_cast<size_t>(precision) + 400, '\0');
  const int size = std::snprintf(digits.data(), digits.size(), conversion.c_str(),
                                 static_cast<int>(precision), value);
  digits.resize(static_cast<size_t>(std::max(size, 0)));
  out.digits = std::move(digits);
  if (style.grouping != 0) out.digits = Group(out.digits, style.grouping, 3);
  if (percent) out.digits += '%';
  return out;
}

std::string FormatPercent(const Value& format, const Value& args) {
  return PercentFormatter(format, args).Run();
}

}  // namespace slm::text::jinja
