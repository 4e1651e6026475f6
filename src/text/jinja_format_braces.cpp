// str.format and its format specifications.
#include <algorithm>
#include <cmath>

#include "text/html.h"
#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_format.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

constexpr int kMaxFieldDepth = 2;  // a field may hold fields in its specification, no deeper

struct Spec {
  char32_t fill = ' ';
  char align = 0;
  char sign = 0;
  bool alternate = false;
  bool zero = false;
  int64_t width = -1;
  char grouping = 0;
  int64_t precision = -1;
  char type = 0;
};

char AlignAt(std::string_view text, size_t pos) {
  if (pos >= text.size()) return 0;
  return std::string_view("<>=^").find(text[pos]) == std::string_view::npos ? '\0' : text[pos];
}

Spec ParseSpec(std::string_view text, std::string_view type_name) {
  Spec spec;
  size_t pos = 0;
  if (!text.empty()) {
    size_t after_fill = 0;
    const char32_t fill = NextCodePoint(text, &after_fill);
    if (const char align = AlignAt(text, after_fill)) {
      spec.fill = fill;
      spec.align = align;
      pos = after_fill + 1;
    } else if (const char first = AlignAt(text, 0)) {
      spec.align = first;
      pos = 1;
    }
  }
  const auto at = [&] { return pos < text.size() ? text[pos] : '\0'; };
  if (at() == '+' || at() == '-' || at() == ' ') spec.sign = text[pos++];
  if (at() == '#') {
    spec.alternate = true;
    ++pos;
  }
  if (at() == '0') {
    spec.zero = true;
    ++pos;
  }
  spec.width = ReadNumber(text, &pos);
  if (at() == ',' || at() == '_') spec.grouping = text[pos++];
  if (at() == '.') {
    ++pos;
    spec.precision = ReadNumber(text, &pos);
    if (spec.precision < 0)
      throw Failure(FailureKind::kValue, "Format specifier missing precision");
  }
  if (pos < text.size()) spec.type = text[pos++];
  if (pos != text.size()) {
    throw Failure(FailureKind::kValue, "Invalid format specifier '{}' for object of type '{}'",
                  text, type_name);
  }
  return spec;
}

[[noreturn]] void FailType(char type, std::string_view type_name) {
  throw Failure(FailureKind::kValue, "Unknown format code '{}' for object of type '{}'", type,
                type_name);
}

std::string FormatText(const std::string& text, const Spec& spec) {
  if (spec.type != 0 && spec.type != 's') FailType(spec.type, "str");
  if (spec.sign != 0) {
    throw Failure(FailureKind::kValue, "Sign not allowed in string format specifier");
  }
  if (spec.align == '=') {
    throw Failure(FailureKind::kValue, "'=' alignment not allowed in string format specifier");
  }
  if (spec.grouping != 0) {
    throw Failure(FailureKind::kValue, "Cannot specify '{}' with 's'.", spec.grouping);
  }
  std::string out = text;
  if (spec.precision >= 0) out.resize(CodePointOffset(out, static_cast<size_t>(spec.precision)));
  const char32_t fill = spec.zero && spec.align == 0 ? '0' : spec.fill;
  return Pad("", out, spec.align == 0 ? '<' : spec.align, fill, spec.width);
}

// Without a type a float looks like its repr, but has at most `precision` digits.
NumberText FormatGeneralFloat(double value, NumberStyle style) {
  if (style.precision < 0) {
    NumberText text;
    std::string repr = FloatRepr(std::abs(value));
    const bool negative = std::signbit(value) && !std::isnan(value);
    text.prefix = negative ? "-" : style.sign == '-' ? "" : std::string(1, style.sign);
    text.digits = std::move(repr);
    return text;
  }
  style.type = 'g';
  style.precision = std::max(style.precision, int64_t{1});
  NumberText text = FormatFloat(value, style);
  if (std::isfinite(value) && text.digits.find_first_of(".e") == std::string::npos) {
    // str keeps ".0" where it fits; one digit less than the precision leaves room.
    if (static_cast<int64_t>(text.digits.size()) >= style.precision) {
      style.type = 'e';
      style.precision = std::max<int64_t>(0, style.precision - 1);
      text = FormatFloat(value, style);
      const size_t e = text.digits.find('e');
      size_t keep = text.digits.find_last_not_of('0', e - 1) + 1;
      if (keep > 0 && text.digits[keep - 1] == '.') --keep;
      if (text.digits.find('.') < e) text.digits.erase(keep, e - keep);
    } else {
      text.digits += ".0";
    }
  }
  return text;
}

std::string FormatNumber(const Value& value, const Spec& spec) {
  NumberStyle style;
  style.sign = spec.sign == 0 ? '-' : spec.sign;
  style.alternate = spec.alternate;
  style.grouping = spec.grouping;
  style.precision = spec.precision;
  const bool float_type =
      spec.type != 0 && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  NumberText text;
  if (value.is_integral() && !float_type) {
    if (spec.precision >= 0) {
      throw Failure(FailureKind::kValue, "Precision not allowed in integer format specifier");
    }
    const char type = spec.type == 0 || spec.type == 'n' ? 'd' : spec.type;
    if (type == 'c') {
      AppendCodePoint(&text.digits,
                      static_cast<char32_t>(std::clamp(value.as_int(), Int{0}, Int{0x10FFFF})));
    } else {
      if (std::string_view("bdoxX").find(type) == std::string_view::npos) FailType(type, "int");
      style.type = type;
      text = FormatInteger(value.as_int(), style);
    }
  } else {
    if (spec.type != 0 && spec.type != 'n' && !float_type) FailType(spec.type, "float");
    style.type = spec.type == 'n' ? 'g' : spec.type;
    text = spec.type == 0 ? FormatGeneralFloat(ToDouble(value), style)
                          : FormatFloat(ToDouble(value), style);
  }
  const bool zeros = spec.zero && spec.align == 0;
  return Pad(text.prefix, text.digits,
             zeros             ? '='
             : spec.align == 0 ? '>'
                               : spec.align,
             zeros ? '0' : spec.fill, spec.width);
}

std::string FormatField(const Value& value, const std::string& spec_text) {
  if (spec_text.empty()) return ToText(value);
  if (value.is(Type::kStr)) {
    if (value.as<Str>().markup) {
      throw Failure(FailureKind::kValue, "Unsupported format specification for Markup.");
    }
    return FormatText(value.text(), ParseSpec(spec_text, "str"));
  }
  if (value.is_number()) return FormatNumber(value, ParseSpec(spec_text, TypeName(value)));
  throw Failure(FailureKind::kType, "unsupported format string passed to {}.__format__",
                TypeName(value));
}

class BraceFormatter {
 public:
  BraceFormatter(bool markup, const Args& args) : markup_(markup), args_(args) {}

  std::string Run(std::string_view format, int depth) {
    if (depth > kMaxFieldDepth) {
      throw Failure(FailureKind::kValue, "Max string recursion exceeded");
    }
    std::string out;
    for (size_t pos = 0; pos < format.size();) {
      Budget::Step();
      const char c = format[pos++];
      const bool twice = pos < format.size() && format[pos] == c;
      if (c == '}' && !twice) {
        throw Failure(FailureKind::kValue, "Single '}}' encountered in format string");
      }
      if ((c == '{' || c == '}') && twice) {
        out += c;
        ++pos;
      } else if (c == '{') {
        const size_t end = FieldEnd(format, pos);
        out += Field(format.substr(pos, end - pos), depth);
        Budget::CheckFits(static_cast<int64_t>(out.size()), 1);
        pos = end + 1;
      } else {
        out += c;
      }
    }
    return out;
  }

 private:
  static size_t FieldEnd(std::string_view format, size_t pos) {
    if (pos >= format.size()) {
      throw Failure(FailureKind::kValue, "Single '{{' encountered in format string");
    }
    int open = 1;
    bool in_index = false;
    for (; pos < format.size(); ++pos) {
      if (format[pos] == '[') in_index = true;
      if (format[pos] == ']') in_index = false;
      if (in_index) continue;
      if (format[pos] == '{') ++open;
      if (format[pos] == '}' && --open == 0) return pos;
    }
    throw Failure(FailureKind::kValue, "expected '}}' before end of string");
  }

  std::string Field(std::string_view field, int depth) {
    size_t end = 0;
    bool in_index = false;
    for (; end < field.size(); ++end) {
      if (field[end] == '[') in_index = true;
      if (field[end] == ']') in_index = false;
      if (!in_index && (field[end] == '!' || field[end] == ':')) break;
    }
    const std::string_view name = field.substr(0, end);
    char conversion = 0;
    if (end < field.size() && field[end] == '!') {
      if (end + 1 >= field.size()) {
        throw Failure(FailureKind::kValue, "end of string while looking for conversion specifier");
      }
      conversion = field[end + 1];
      end += 2;
      if (end < field.size() && field[end] != ':') {
        throw Failure(FailureKind::kValue, "expected ':' after conversion specifier");
      }
    }
    Value value = Lookup(name);
    if (conversion == 'r' || conversion == 'a') {
      value = Value::Text(Repr(value));
    } else if (conversion == 's') {
      value = Value::Text(ToText(value));
    } else if (conversion != 0) {
      throw Failure(FailureKind::kValue, "Unknown conversion specifier {}", conversion);
    }
    const std::string spec = end < field.size() ? Run(field.substr(end + 1), depth + 1) : "";
    std::string text = FormatField(value, spec);
    const bool safe = value.is(Type::kStr) && value.as<Str>().markup;
    return markup_ && !safe ? EscapeHtml(text) : text;
  }

  Value Lookup(std::string_view name) {
    size_t pos = std::min(name.find_first_of(".["), name.size());
    Value value = First(name.substr(0, pos));
    while (pos < name.size()) {
      if (name[pos] == '.') {
        const size_t end = std::min(name.find_first_of(".[", pos + 1), name.size());
        value = GetAttribute(value, name.substr(pos + 1, end - pos - 1));
        pos = end;
      } else if (name[pos] == '[') {
        const size_t end = name.find(']', pos);
        if (end == std::string_view::npos) {
          throw Failure(FailureKind::kValue, "Missing ']' in format string");
        }
        const std::string_view key = name.substr(pos + 1, end - pos - 1);
        value = GetItem(value, IsNumber(key) ? Value::Integer(*ParseInt(key, 10))
                                             : Value::Text(std::string(key)));
        pos = end + 1;
      } else {
        throw Failure(FailureKind::kValue,
                      "Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  static bool IsNumber(std::string_view text) {
    return !text.empty() && text.size() < 19 &&
           text.find_first_not_of("0123456789") == std::string_view::npos;
  }

  Value First(std::string_view name) {
    if (name.empty() || IsNumber(name)) {
      const bool automatic = name.empty();
      if (automatic ? manual_ : next_ > 0) {
        throw Failure(FailureKind::kValue,
                      "cannot switch from manual field specification to automatic field numbering");
      }
      if (!automatic) manual_ = true;
      const size_t index = automatic ? next_++ : static_cast<size_t>(*ParseInt(name, 10));
      if (index >= args_.positional.size()) {
        throw Failure(FailureKind::kIndex,
                      "Replacement index {} out of range for positional args tuple", index);
      }
      return args_.positional[index];
    }
    for (const auto& [key, value] : args_.named) {
      if (key == name) return value;
    }
    throw Failure(FailureKind::kKey, "'{}'", name);
  }

  const bool markup_;
  const Args& args_;
  size_t next_ = 0;
  bool manual_ = false;
};

}  // namespace

std::string FormatBraces(const Value& format, const Args& args) {
  return BraceFormatter(format.as<Str>().markup, args).Run(format.text(), 1);
}

}  // namespace slm::text::jinja
