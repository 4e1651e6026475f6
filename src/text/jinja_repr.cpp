// str(), repr() and json.dumps().
#include <algorithm>

#include "text/html.h"
#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_loop.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

// Namespaces whose repr is being written, to cut cycles.
thread_local std::vector<const Namespace*> open_namespaces;

void AppendItems(std::string* out, const std::vector<Value>& items) {
  bool first = true;
  for (const Value& item : items) {
    if (!first) *out += ", ";
    first = false;
    AppendRepr(out, item);
  }
}

void AppendDict(std::string* out, const Dict& dict) {
  *out += '{';
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    if (!first) *out += ", ";
    first = false;
    AppendRepr(out, key);
    *out += ": ";
    AppendRepr(out, value);
  }
  *out += '}';
}

void AppendNamespace(std::string* out, const Namespace& space) {
  *out += "<Namespace ";
  if (std::find(open_namespaces.begin(), open_namespaces.end(), &space) != open_namespaces.end()) {
    *out += "{...}";
  } else {
    struct Closer {
      ~Closer() { open_namespaces.pop_back(); }
    };
    open_namespaces.push_back(&space);
    const Closer closer;
    AppendDict(out, *space.attributes);
  }
  *out += '>';
}

void AppendView(std::string* out, const Value& view) {
  *out += TypeName(view);
  *out += "([";
  AppendItems(out, ToVector(view));
  *out += "])";
}

void AppendHex(std::string* out, char prefix, int digits, char32_t code) {
  *out += fmt::format("\\{}{:0{}x}", prefix, static_cast<uint32_t>(code), digits);
}

void AppendEscapedCodePoint(std::string* out, char32_t code) {
  if (code < 0x100) {
    AppendHex(out, 'x', 2, code);
  } else if (code < 0x10000) {
    AppendHex(out, 'u', 4, code);
  } else {
    AppendHex(out, 'U', 8, code);
  }
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, std::string* out) : style_(style), out_(*out) {}

  void Write(const Value& value, int level) {
    const Budget::Depth depth;
    Budget::Step();
    Budget::CheckFits(static_cast<int64_t>(out_.size()), 1);
    switch (value.type()) {
      case Type::kNone:
        out_ += "null";
        return;
      case Type::kBool:
        out_ += value.as_bool() ? "true" : "false";
        return;
      case Type::kInt:
        out_ += IntText(value.as_int());
        return;
      case Type::kFloat:
        out_ += FloatText(value.as_float());
        return;
      case Type::kStr:
        WriteText(value.text());
        return;
      case Type::kList:
      case Type::kTuple:
        WriteArray(value.items(), level);
        return;
      case Type::kDict:
        WriteObject(value.as<Dict>(), level);
        return;
      default:
        throw Failure(FailureKind::kType, "Object of type {} is not JSON serializable",
                      TypeName(value));
    }
  }

 private:
  static std::string FloatText(double value) {
    std::string text = FloatRepr(value);
    if (text == "nan") return "NaN";
    if (text == "inf") return "Infinity";
    if (text == "-inf") return "-Infinity";
    return text;
  }

  void NewLine(int level) {
    if (!style_.has_indent) return;
    Budget::CheckFits(static_cast<int64_t>(out_.size() + style_.indent.size() * 200), 1);
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += style_.indent;
  }

  void WriteArray(const std::vector<Value>& items, int level) {
    out_ += '[';
    bool first = true;
    for (const Value& item : items) {
      if (!first) out_ += style_.item_separator;
      first = false;
      NewLine(level + 1);
      Write(item, level + 1);
    }
    if (!items.empty()) NewLine(level);
    out_ += ']';
  }

  void WriteObject(const Dict& dict, int level) {
    const auto& entries = dict.entries();
    std::vector<size_t> order(entries.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    if (style_.sort_keys) {
      std::vector<Value> keys;
      for (const auto& entry : entries) keys.push_back(entry.first);
      order = SortedOrder(keys, /*reverse=*/false);
    }
    out_ += '{';
    bool first = true;
    for (size_t i : order) {
      if (!first) out_ += style_.item_separator;
      first = false;
      NewLine(level + 1);
      WriteKey(entries[i].first);
      out_ += style_.key_separator;
      Write(entries[i].second, level + 1);
    }
    if (!entries.empty()) NewLine(level);
    out_ += '}';
  }

  void WriteKey(const Value& key) {
    switch (key.type()) {
      case Type::kStr:
        WriteText(key.text());
        return;
      case Type::kNone:
        out_ += "\"null\"";
        return;
      case Type::kBool:
        out_ += key.as_bool() ? "\"true\"" : "\"false\"";
        return;
      case Type::kInt:
        out_ += '"' + IntText(key.as_int()) + '"';
        return;
      case Type::kFloat:
        out_ += '"' + FloatText(key.as_float()) + '"';
        return;
      default:
        throw Failure(FailureKind::kType, "keys must be str, int, float, bool or None, not {}",
                      TypeName(key));
    }
  }

  void WriteText(const std::string& text) {
    Budget::StepBytes(text.size());
    out_ += '"';
    for (size_t pos = 0; pos < text.size();) {
      const auto byte = static_cast<unsigned char>(text[pos]);
      if (byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\') {
        out_ += text[pos++];
        continue;
      }
      WriteSpecial(NextCodePoint(text, &pos));
    }
    out_ += '"';
  }

  void WriteSpecial(char32_t code) {
    constexpr std::string_view kNamed = "\"\\\n\r\t\f\b";
    constexpr std::string_view kLetters = "\"\\nrtfb";
    const size_t named =
        code < 0x80 ? kNamed.find(static_cast<char>(code)) : std::string_view::npos;
    if (named != std::string_view::npos) {
      out_ += '\\';
      out_ += kLetters[named];
    } else if (code >= 0x20 && !style_.ensure_ascii) {
      AppendCodePoint(&out_, code);
    } else if (code < 0x10000) {
      AppendHex(&out_, 'u', 4, code);
    } else {
      AppendHex(&out_, 'u', 4, 0xD800 + ((code - 0x10000) >> 10));
      AppendHex(&out_, 'u', 4, 0xDC00 + ((code - 0x10000) & 0x3FF));
    }
  }

  const JsonStyle& style_;
  std::string& out_;
};

}  // namespace

void AppendQuoted(std::string* out, std::string_view text) {
  Budget::StepBytes(text.size());
  const bool doubled =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char32_t quote = doubled ? '"' : '\'';
  AppendCodePoint(out, quote);
  for (size_t pos = 0; pos < text.size();) {
    const char32_t code = NextCodePoint(text, &pos);
    if (code == quote || code == '\\') {
      *out += '\\';
      AppendCodePoint(out, code);
    } else if (code == '\n') {
      *out += "\\n";
    } else if (code == '\r') {
      *out += "\\r";
    } else if (code == '\t') {
      *out += "\\t";
    } else if (IsPrintable(code)) {
      AppendCodePoint(out, code);
    } else {
      AppendEscapedCodePoint(out, code);
    }
  }
  AppendCodePoint(out, quote);
}

void AppendRepr(std::string* out, const Value& value) {
  const Budget::Depth depth;
  Budget::Step();
  Budget::CheckFits(static_cast<int64_t>(out->size()), 1);
  switch (value.type()) {
    case Type::kMissing:
      *out += "missing";
      return;
    case Type::kNone:
      *out += "None";
      return;
    case Type::kBool:
      *out += value.as_bool() ? "True" : "False";
      return;
    case Type::kInt:
      *out += IntText(value.as_int());
      return;
    case Type::kFloat:
      *out += FloatRepr(value.as_float());
      return;
    case Type::kUndefined:
      *out += "Undefined";
      return;
    case Type::kStr:
      if (value.as<Str>().markup) *out += "Markup(";
      AppendQuoted(out, value.text());
      if (value.as<Str>().markup) *out += ')';
      return;
    case Type::kList:
      *out += '[';
      AppendItems(out, value.items());
      *out += ']';
      return;
    case Type::kTuple:
      *out += '(';
      AppendItems(out, value.items());
      *out += value.items().size() == 1 ? ",)" : ")";
      return;
    case Type::kDict:
      AppendDict(out, value.as<Dict>());
      return;
    case Type::kRange: {
      const auto& range = value.as<Range>();
      *out += "range(" + IntText(range.start) + ", " + IntText(range.stop);
      if (range.step != 1) *out += ", " + IntText(range.step);
      *out += ')';
      return;
    }
    case Type::kDictView:
      AppendView(out, value);
      return;
    case Type::kNamespace:
      AppendNamespace(out, value.as<Namespace>());
      return;
    case Type::kMacro: {
      const Value name = MacroAttribute(value, "name");
      *out += "<Macro " + (name.is(Type::kNone) ? "anonymous" : Repr(name)) + ">";
      return;
    }
    case Type::kLoop: {
      auto& loop = value.as<Loop>();
      *out += "<LoopContext " + IntText(loop.index0 + 1) + "/" + IntText(loop.Size()) + ">";
      return;
    }
    case Type::kFunction:
      *out += fmt::format("<function {}>", value.as<Function>().name);
      return;
    default:
      *out += fmt::format("<{} object>", TypeName(value));
      return;
  }
}

std::string Repr(const Value& value) {
  std::string out;
  AppendRepr(&out, value);
  return out;
}

std::string ToText(const Value& value) {
  if (value.is(Type::kStr)) return value.text();
  if (value.is(Type::kUndefined)) return "";
  return Repr(value);
}

Value SoftText(const Value& value) {
  return value.is(Type::kStr) ? value : Value::Text(ToText(value));
}

std::string Escape(const Value& value) {
  if (value.is(Type::kStr) && value.as<Str>().markup) return value.text();
  return EscapeHtml(ToText(value));
}

std::string ToJson(const Value& value, const JsonStyle& style) {
  std::string out;
  JsonWriter(style, &out).Write(value, 0);
  return out;
}

}  // namespace slm::text::jinja
