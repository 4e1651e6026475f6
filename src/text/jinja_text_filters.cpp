// Filters on text.
#include <algorithm>

#include "text/html.h"
#include "text/jinja.h"
#include "text/jinja_args.h"
#include "text/jinja_budget.h"
#include "text/jinja_builtins.h"
#include "text/jinja_failure.h"
#include "text/jinja_format.h"
#include "text/jinja_methods.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"
#include "text/jinja_wrap.h"

namespace slm::text::jinja {
namespace {

// The method of that name, applied to the value as text; Markup stays Markup.
Value CallTextMethod(const Value& value, std::string_view name, Args& args) {
  const Value method = FindTextMethod(SoftText(value), name);
  const auto& function = method.as<Function>();
  static const RenderOptions kNone;  // text methods look at no option
  return function.code(kNone, function.self, args);
}

Value UpperFilter(const Value& value, Args& args) { return CallTextMethod(value, "upper", args); }
Value LowerFilter(const Value& value, Args& args) { return CallTextMethod(value, "lower", args); }
Value CapitalizeFilter(const Value& value, Args& args) {
  return CallTextMethod(value, "capitalize", args);
}
Value TrimFilter(const Value& value, Args& args) { return CallTextMethod(value, "strip", args); }

Value CenterFilter(const Value& value, Args& args) {
  const Bound bound("do_center", args, {"width"});
  Args width;
  width.positional.push_back(Value::Integer(bound.Number(0, 80)));
  return CallTextMethod(value, "center", width);
}

// Words begin after spaces, hyphens and opening brackets.
Value TitleFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_title", args);
  const std::string text = ToText(value);
  const auto separates = [](char32_t code) {
    return IsSpace(code) || (code < 0x80 && std::string_view("-({[<").find(
                                                static_cast<char>(code)) != std::string_view::npos);
  };
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    size_t end = pos;
    const bool separator = separates(NextCodePoint(text, &pos));
    for (end = pos; pos < text.size(); end = pos) {
      if (separates(NextCodePoint(text, &pos)) != separator) break;
    }
    pos = end;
    size_t first = begin;
    NextCodePoint(text, &first);
    const std::string_view word(text);
    out += Upper(word.substr(begin, first - begin));
    out += Lower(word.substr(first, end - first));
  }
  return Value::Text(std::move(out));
}

Value ReplaceFilter(const Value& value, Args& args) {
  const Bound bound("do_replace", args, {"old", "new", "count"}, 2);
  return Value::Text(
      ReplaceText(ToText(value), ToText(bound[0]), ToText(bound[1]), bound.NumberOrNone(2, -1)));
}

Value FormatFilter(const Value& value, Args& args) {
  if (!args.positional.empty() && !args.named.empty()) {
    throw Failure(FailureKind::kFilterArgument,
                  "can't handle positional and keyword arguments at the same time");
  }
  const Value format = SoftText(value);
  if (args.named.empty()) return Apply(BinaryOp::kMod, format, Value::Tuple(args.positional));
  const Ref<Dict> named = Make<Dict>();
  for (const auto& [name, item] : args.named) named->Set(Value::Text(name), item);
  return Apply(BinaryOp::kMod, format, named);
}

Value EscapeFilter(const Value& value, Args& args) {
  ExpectNoArgs("escape", args);
  return Value::Markup(Escape(value));
}

Value ForceEscapeFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_forceescape", args);
  return Value::Markup(EscapeHtml(ToText(value)));
}

Value SafeFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_mark_safe", args);
  return Value::Markup(ToText(value));
}

// The entities that appear in practice; Python knows all 2231 of HTML 5.
std::string UnescapeHtml(std::string_view text) {
  struct Entity {
    std::string_view name;
    std::string_view text;
  };
  constexpr Entity kEntities[] = {
      {"amp;", "&"},  {"lt;", "<"},          {"gt;", ">"},           {"quot;", "\""},
      {"apos;", "'"}, {"nbsp;", "\xC2\xA0"}, {"raquo;", "\xC2\xBB"}, {"laquo;", "\xC2\xAB"}};
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    if (text[pos] != '&') {
      out += text[pos++];
      continue;
    }
    const std::string_view rest = text.substr(pos + 1);
    if (rest.starts_with('#')) {
      const bool hex = rest.size() > 1 && (rest[1] | 0x20) == 'x';
      const size_t begin = hex ? 2 : 1;
      const size_t end =
          std::min(rest.find_first_not_of(hex ? "0123456789abcdefABCDEF" : "0123456789", begin),
                   rest.size());
      if (end > begin && end - begin < 9) {
        AppendCodePoint(
            &out, static_cast<char32_t>(*ParseInt(rest.substr(begin, end - begin), hex ? 16 : 10)));
        pos += 1 + end + (end < rest.size() && rest[end] == ';' ? 1 : 0);
        continue;
      }
    }
    const auto* entity =
        std::find_if(std::begin(kEntities), std::end(kEntities),
                     [&](const Entity& entry) { return rest.starts_with(entry.name); });
    if (entity != std::end(kEntities)) {
      out += entity->text;
      pos += 1 + entity->name.size();
    } else {
      out += text[pos++];
    }
  }
  return out;
}

Value StripTagsFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_striptags", args);
  const std::string text = ToText(value);
  std::string kept;
  size_t pos = 0;
  for (size_t tag = 0; (tag = text.find('<', pos)) != std::string::npos;) {
    const bool comment = std::string_view(text).substr(tag).starts_with("<!--");
    size_t end = comment ? FindText(text, "-->", tag + 4) : text.find('>', tag);
    if (end == std::string::npos) break;
    end += comment ? 3 : 1;
    kept.append(text, pos, tag - pos);
    pos = end;
  }
  kept.append(text, pos);
  std::string out;
  for (std::string_view word : SplitSpaces(kept, -1)) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return Value::Text(UnescapeHtml(out));
}

Value TruncateFilter(const Value& value, Args& args) {
  const Bound bound("do_truncate", args, {"length", "killwords", "end", "leeway"});
  const int64_t length = bound.Number(0, 255);
  const std::string end = bound.has(2) ? ToText(bound[2]) : "...";
  const int64_t leeway = bound.NumberOrNone(3, 5);
  const auto end_length = static_cast<int64_t>(CountCodePoints(end));
  if (length < end_length) {
    throw Failure(FailureKind::kPythonAssertion, "expected length >= {}, got {}", end_length,
                  length);
  }
  if (leeway < 0)
    throw Failure(FailureKind::kPythonAssertion, "expected leeway >= 0, got {}", leeway);
  if (Length(value) <= static_cast<Int>(length) + leeway) return value;
  const Value cut = GetSlice(value, Value(), Value::Integer(length - end_length), Value());
  if (bound.Flag(1, false)) return Apply(BinaryOp::kAdd, cut, Value::Text(end));
  if (!cut.is(Type::kStr)) {
    throw Failure(FailureKind::kAttribute, "'{}' object has no attribute 'rsplit'", TypeName(cut));
  }
  const size_t space = cut.text().rfind(' ');
  const Value words = Make<Str>(cut.text().substr(0, space), cut.as<Str>().markup);
  return Apply(BinaryOp::kAdd, words, Value::Text(end));
}

Value IndentFilter(const Value& value, Args& args) {
  const Bound bound("do_indent", args, {"width", "first", "blank"});
  if (!value.is(Type::kStr)) {
    Apply(BinaryOp::kAdd, value, Value::Text("\n"));  // fails as Python does
    throw Failure(FailureKind::kType, "expected str, got {}", TypeName(value));
  }
  const bool markup = value.as<Str>().markup;
  std::string indention;
  if (bound.has(0) && bound[0].is(Type::kStr)) {
    indention = bound[0].text();
  } else {
    const int64_t width = bound.Number(0, 4);
    Budget::CheckFits(width, 1);
    indention.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  const std::string text = value.text() + "\n";
  const std::vector<std::string_view> lines = SplitLines(text, /*keep_ends=*/false);
  const bool blank = bound.Flag(2, false);
  Budget::CheckFits(static_cast<int64_t>(lines.size()), static_cast<int64_t>(indention.size() + 1));
  std::string out = bound.Flag(1, false) ? indention : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) {
      out += '\n';
      if (blank || !lines[i].empty()) out += indention;
    }
    out += lines[i];
  }
  return Make<Str>(std::move(out), markup);
}

Value WordCountFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_wordcount", args);
  const std::string text = ToText(value);
  Int words = 0;
  bool inside = false;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t code = NextCodePoint(text, &pos);
    const bool word = code == '_' || IsAlnum(code);
    if (word && !inside) ++words;
    inside = word;
  }
  return Value::Integer(words);
}

Value WordWrapFilter(const Value& value, Args& args) {
  const Bound bound("do_wordwrap", args,
                    {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  if (value.is(Type::kUndefined)) ToIndex(value);  // throws
  if (!value.is(Type::kStr)) {
    throw Failure(FailureKind::kAttribute, "'{}' object has no attribute 'splitlines'",
                  TypeName(value));
  }
  WrapStyle style;
  style.width = bound.Number(0, 79);
  style.break_long_words = bound.Flag(1, true);
  style.break_on_hyphens = bound.Flag(3, true);
  const bool default_break = !bound.has(2) || bound[2].is(Type::kNone);
  const std::string line_break = default_break ? "\n" : ToText(bound[2]);
  std::string out;
  bool first = true;
  for (std::string_view line : SplitLines(value.text(), /*keep_ends=*/false)) {
    if (!first) out += line_break;
    first = false;
    bool first_part = true;
    for (const std::string& part : WrapText(line, style)) {
      if (!first_part) out += line_break;
      first_part = false;
      out += part;
      Budget::CheckFits(static_cast<int64_t>(out.size()), 1);
    }
  }
  return Value::Text(std::move(out));
}

std::string QuoteUrl(const std::string& text, bool for_query) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte < 0x80 && (std::isalnum(byte) || c == '_' || c == '.' || c == '-' ||
                                       c == '~' || (c == '/' && !for_query));
    if (plain) {
      out += c;
    } else if (c == ' ' && for_query) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

Value UrlEncodeFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_urlencode", args);
  if (value.is(Type::kStr) || !IsIterable(value)) {
    return Value::Text(QuoteUrl(ToText(value), false));
  }
  const bool mapping = value.is(Type::kDict);
  const Value items =
      mapping ? Make<DictView>(Ref<Dict>(&value.as<Dict>()), DictViewKind::kItems) : value;
  std::string out;
  for (const Value& item : ToVector(items)) {
    const std::vector<Value> pair = ToVector(item);
    if (pair.size() != 2) {
      throw Failure(FailureKind::kValue, "not enough values to unpack (expected 2, got {})",
                    pair.size());
    }
    if (!out.empty()) out += '&';
    out += QuoteUrl(ToText(pair[0]), true) + "=" + QuoteUrl(ToText(pair[1]), true);
  }
  return Value::Text(std::move(out));
}

Value XmlAttributesFilter(const Value& value, Args& args) {
  const Bound bound("do_xmlattr", args, {"autospace"});
  if (!value.is(Type::kDict)) {
    GetAttribute(value, "items");  // fails when undefined
    throw Failure(FailureKind::kAttribute, "'{}' object has no attribute 'items'", TypeName(value));
  }
  std::string out;
  for (const auto& [key, item] : value.as<Dict>().entries()) {
    if (item.is(Type::kNone) || item.is(Type::kUndefined)) continue;
    if (!key.is(Type::kStr)) {
      throw Failure(FailureKind::kType, "expected string or bytes-like object, got '{}'",
                    TypeName(key));
    }
    if (key.text().find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      throw Failure(FailureKind::kValue, "Invalid character in attribute name: {}", Repr(key));
    }
    if (!out.empty()) out += ' ';
    out += Escape(key) + "=\"" + Escape(item) + "\"";
  }
  if (bound.Flag(0, true) && !out.empty()) out.insert(0, 1, ' ');
  return Value::Text(std::move(out));
}

Value UrlizeFilter(const Value&, Args&) {
  throw Failure(FailureKind::kUnsupported, "the filter urlize is not supported");
}

constexpr NamedFilter kFilters[] = {
    {"upper", &UpperFilter},
    {"lower", &LowerFilter},
    {"capitalize", &CapitalizeFilter},
    {"title", &TitleFilter},
    {"trim", &TrimFilter},
    {"center", &CenterFilter},
    {"replace", &ReplaceFilter},
    {"format", &FormatFilter},
    {"e", &EscapeFilter},
    {"escape", &EscapeFilter},
    {"forceescape", &ForceEscapeFilter},
    {"safe", &SafeFilter},
    {"striptags", &StripTagsFilter},
    {"truncate", &TruncateFilter},
    {"indent", &IndentFilter},
    {"wordcount", &WordCountFilter},
    {"wordwrap", &WordWrapFilter},
    {"urlencode", &UrlEncodeFilter},
    {"xmlattr", &XmlAttributesFilter},
    {"urlize", &UrlizeFilter},
};

}  // namespace

const NamedFilter* FindTextFilter(std::string_view name) {
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return &filter;
  }
  return nullptr;
}

}  // namespace slm::text::jinja
