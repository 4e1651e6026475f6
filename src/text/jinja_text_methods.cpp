// Methods of str and Markup.
#include <algorithm>
#include <optional>

#include "text/jinja_args.h"
#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_format.h"
#include "text/jinja_methods.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

// A result of the kind of `self`: Markup methods return Markup.
Value Like(const Value& self, std::string text) {
  return Make<Str>(std::move(text), self.as<Str>().markup);
}

Value ListLike(const Value& self, const std::vector<std::string_view>& parts) {
  Budget::CheckFits(static_cast<int64_t>(parts.size()), sizeof(Value) + sizeof(Str));
  std::vector<Value> out;
  out.reserve(parts.size());
  for (std::string_view part : parts) out.push_back(Like(self, std::string(part)));
  return Value::List(std::move(out));
}

// Arguments that become part of Markup are escaped.
std::string Inserted(const Value& self, const Bound& bound, size_t index, std::string_view what) {
  const std::string& text = bound.Text(index, what);
  return self.as<Str>().markup ? Escape(bound[index]) : text;
}

Value UpperMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("upper", args);
  return Like(self, Upper(self.text()));
}
Value LowerMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("lower", args);
  return Like(self, Lower(self.text()));
}
Value TitleMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("title", args);
  return Like(self, TitleCase(self.text()));
}
Value CapitalizeMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("capitalize", args);
  return Like(self, Capitalize(self.text()));
}
Value SwapCaseMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("swapcase", args);
  return Like(self, SwapCase(self.text()));
}
Value CaseFoldMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("casefold", args);
  return Like(self, CaseFold(self.text()));
}

Value Strip(const Value& self, Args& args, const char* name, bool left, bool right) {
  const Bound bound(name, args, {"chars"});
  std::string_view text = self.text();
  Budget::StepBytes(text.size());
  if (!bound.has(0) || bound[0].is(Type::kNone)) {
    return Like(self, std::string(StripSpace(text, left, right)));
  }
  if (!bound[0].is(Type::kStr)) {
    throw Failure(FailureKind::kType, "{} arg must be None or str", name);
  }
  const std::string& chars = bound[0].text();
  const auto strippable = [&](size_t begin, size_t end) {
    return FindText(chars, text.substr(begin, end - begin)) != std::string::npos;
  };
  while (left && !text.empty()) {
    size_t end = 0;
    NextCodePoint(text, &end);
    if (!strippable(0, end)) break;
    text.remove_prefix(end);
  }
  while (right && !text.empty()) {
    size_t begin = text.size();
    PreviousCodePoint(text, &begin);
    if (!strippable(begin, text.size())) break;
    text.remove_suffix(text.size() - begin);
  }
  return Like(self, std::string(text));
}

Value StripMethod(const RenderOptions&, const Value& self, Args& args) {
  return Strip(self, args, "strip", true, true);
}
Value LeftStripMethod(const RenderOptions&, const Value& self, Args& args) {
  return Strip(self, args, "lstrip", true, false);
}
Value RightStripMethod(const RenderOptions&, const Value& self, Args& args) {
  return Strip(self, args, "rstrip", false, true);
}

Value Split(const Value& self, Args& args, const char* name, bool from_right) {
  const Bound bound(name, args, {"sep", "maxsplit"});
  const std::string_view text = self.text();
  const int64_t limit = bound.Number(1, -1);
  const auto max_splits = limit < 0 ? text.size() + 1 : static_cast<size_t>(limit);
  std::vector<std::string_view> parts;
  if (!bound.has(0) || bound[0].is(Type::kNone)) {
    if (!from_right) return ListLike(self, SplitSpaces(text, limit));
    std::string_view rest = StripSpace(text, false, true);
    while (!rest.empty() && parts.size() < max_splits) {
      size_t begin = rest.size();
      for (size_t pos = begin; pos > 0; begin = pos) {
        if (IsSpace(PreviousCodePoint(rest, &pos))) break;
      }
      parts.push_back(rest.substr(begin));
      rest = StripSpace(rest.substr(0, begin), false, true);
    }
    if (!rest.empty()) parts.push_back(rest);
  } else {
    const std::string& separator = bound.Text(0, "separator");
    if (separator.empty()) throw Failure(FailureKind::kValue, "empty separator");
    std::string_view rest = text;
    while (parts.size() < max_splits) {
      const size_t at = from_right ? FindTextBackwards(rest, separator) : FindText(rest, separator);
      if (at == std::string_view::npos) break;
      Budget::CheckFits(static_cast<int64_t>(parts.size()), sizeof(Value) + sizeof(Str));
      if (from_right) {
        parts.push_back(rest.substr(at + separator.size()));
        rest = rest.substr(0, at);
      } else {
        parts.push_back(rest.substr(0, at));
        rest = rest.substr(at + separator.size());
      }
    }
    parts.push_back(rest);
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return ListLike(self, parts);
}

Value SplitMethod(const RenderOptions&, const Value& self, Args& args) {
  return Split(self, args, "split", false);
}
Value RightSplitMethod(const RenderOptions&, const Value& self, Args& args) {
  return Split(self, args, "rsplit", true);
}

Value SplitLinesMethod(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("splitlines", args, {"keepends"});
  return ListLike(self, SplitLines(self.text(), bound.Flag(0, false)));
}

Value Partition(const Value& self, Args& args, const char* name, bool from_right) {
  const Bound bound(name, args, {"sep"}, 1);
  const std::string& text = self.text();
  const std::string& separator = bound.Text(0, "separator");
  if (separator.empty()) throw Failure(FailureKind::kValue, "empty separator");
  const size_t at = from_right ? FindTextBackwards(text, separator) : FindText(text, separator);
  if (at == std::string::npos) {
    const Value none = Like(self, "");
    return from_right ? Value::Tuple({none, none, self}) : Value::Tuple({self, none, none});
  }
  return Value::Tuple({Like(self, text.substr(0, at)), Like(self, separator),
                       Like(self, text.substr(at + separator.size()))});
}

Value PartitionMethod(const RenderOptions&, const Value& self, Args& args) {
  return Partition(self, args, "partition", false);
}
Value RightPartitionMethod(const RenderOptions&, const Value& self, Args& args) {
  return Partition(self, args, "rpartition", true);
}

Value ReplaceMethod(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("replace", args, {"old", "new", "count"}, 2);
  const std::string& from = bound.Text(0, "replace() argument 1");
  const std::string to = Inserted(self, bound, 1, "replace() argument 2");
  return Like(self, ReplaceText(self.text(), from, to, bound.Number(2, -1)));
}

Value JoinMethod(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("join", args, {"iterable"}, 1);
  if (!IsIterable(bound[0])) throw Failure(FailureKind::kType, "can only join an iterable");
  const Ref<Iterator> iterator = Iterate(bound[0]);
  const bool markup = self.as<Str>().markup;
  std::string out;
  Value item;
  for (int64_t i = 0; iterator->Next(&item); ++i) {
    if (!item.is(Type::kStr) && !markup) {
      throw Failure(FailureKind::kType, "sequence item {}: expected str instance, {} found", i,
                    TypeName(item));
    }
    if (i > 0) out += self.text();
    out += markup ? Escape(item) : item.text();
    Budget::CheckFits(static_cast<int64_t>(out.size()), 1);
  }
  return Like(self, std::move(out));
}

// The part of `self` that optional start and end arguments name, as byte offsets. Nothing when
// start lies behind the end.
struct Window {
  size_t begin;
  size_t end;
  size_t index;  // of begin, in code points
};

std::optional<Window> ReadWindow(const Value& self, const Bound& bound) {
  const auto& str = self.as<Str>();
  const auto length = static_cast<int64_t>(str.length);
  const auto resolve = [length](int64_t index) {
    return index < 0 ? std::max<int64_t>(index + length, 0) : index;
  };
  const int64_t start = resolve(std::max(bound.NumberOrNone(1, 0), -length));
  const int64_t end = std::min(resolve(std::max(bound.NumberOrNone(2, length), -length)), length);
  if (start > end) return std::nullopt;
  const auto offset = [&](int64_t index) {
    const auto position = static_cast<size_t>(index);
    return str.ascii() ? position : CodePointOffset(str.text, position);
  };
  return Window{offset(start), offset(end), static_cast<size_t>(start)};
}

// The index in code points, or -1.
Int Find(const Value& self, Args& args, const char* name, bool from_right) {
  const Bound bound(name, args, {"sub", "start", "end"}, 1);
  const std::string& needle = bound.Text(0, "must be str, not");
  const auto window = ReadWindow(self, bound);
  if (!window) return -1;
  const std::string_view text =
      std::string_view(self.text()).substr(window->begin, window->end - window->begin);
  const size_t at = from_right ? FindTextBackwards(text, needle) : FindText(text, needle);
  if (at == std::string_view::npos) return -1;
  return static_cast<Int>(window->index + CountCodePoints(text.substr(0, at)));
}

Value FindTextAt(const RenderOptions&, const Value& self, Args& args) {
  return Value::Integer(Find(self, args, "find", false));
}
Value RightFindMethod(const RenderOptions&, const Value& self, Args& args) {
  return Value::Integer(Find(self, args, "rfind", true));
}

Value IndexMethod(const RenderOptions&, const Value& self, Args& args) {
  const Int at = Find(self, args, "index", false);
  if (at < 0) throw Failure(FailureKind::kValue, "substring not found");
  return Value::Integer(at);
}
Value RightIndexMethod(const RenderOptions&, const Value& self, Args& args) {
  const Int at = Find(self, args, "rindex", true);
  if (at < 0) throw Failure(FailureKind::kValue, "substring not found");
  return Value::Integer(at);
}

Value CountMethod(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("count", args, {"sub", "start", "end"}, 1);
  const std::string& needle = bound.Text(0, "must be str, not");
  const auto window = ReadWindow(self, bound);
  if (!window) return Value::Integer(0);
  const std::string_view text =
      std::string_view(self.text()).substr(window->begin, window->end - window->begin);
  if (needle.empty()) return Value::Integer(static_cast<Int>(CountCodePoints(text)) + 1);
  Int count = 0;
  for (size_t at = 0; (at = FindText(text, needle, at)) != std::string_view::npos;) {
    ++count;
    at += needle.size();
  }
  return Value::Integer(count);
}

Value HasAffix(const Value& self, Args& args, const char* name, bool at_end) {
  const Bound bound(name, args, {"affix", "start", "end"}, 1);
  const auto window = ReadWindow(self, bound);
  const std::vector<Value> affixes =
      bound[0].is(Type::kTuple) ? bound[0].items() : std::vector<Value>{bound[0]};
  for (const Value& affix : affixes) {
    if (!affix.is(Type::kStr)) {
      throw Failure(FailureKind::kType, "{} first arg must be str or a tuple of str, not {}", name,
                    TypeName(affix));
    }
    if (!window) continue;
    const std::string_view text =
        std::string_view(self.text()).substr(window->begin, window->end - window->begin);
    if (at_end ? text.ends_with(affix.text()) : text.starts_with(affix.text())) {
      return Value::Bool(true);
    }
  }
  return Value::Bool(false);
}

Value StartsWithMethod(const RenderOptions&, const Value& self, Args& args) {
  return HasAffix(self, args, "startswith", false);
}
Value EndsWithMethod(const RenderOptions&, const Value& self, Args& args) {
  return HasAffix(self, args, "endswith", true);
}

Value RemovePrefixMethod(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("removeprefix", args, {"prefix"}, 1);
  const std::string& prefix = bound.Text(0, "removeprefix() argument");
  const bool present = std::string_view(self.text()).starts_with(prefix);
  return Like(self, present ? self.text().substr(prefix.size()) : self.text());
}
Value RemoveSuffixMethod(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("removesuffix", args, {"suffix"}, 1);
  const std::string& suffix = bound.Text(0, "removesuffix() argument");
  const std::string& text = self.text();
  const bool present = std::string_view(text).ends_with(suffix);
  return Like(self, present ? text.substr(0, text.size() - suffix.size()) : text);
}

Value Justify(const Value& self, Args& args, const char* name, char align) {
  const Bound bound(name, args, {"width", "fillchar"}, 1);
  const int64_t width = bound.Number(0, 0);
  if (bound.has(1) && (!bound[1].is(Type::kStr) || bound[1].as<Str>().length != 1)) {
    throw Failure(FailureKind::kType, "The fill character must be exactly one character long");
  }
  const std::string fill = bound.has(1) ? Inserted(self, bound, 1, "fillchar") : " ";
  if (CountCodePoints(fill) != 1) {
    throw Failure(FailureKind::kType, "The fill character must be exactly one character long");
  }
  const auto length = static_cast<int64_t>(self.as<Str>().length);
  size_t pos = 0;
  const char32_t code = NextCodePoint(fill, &pos);
  if (align != '^' || width <= length) return Like(self, Pad("", self.text(), align, code, width));
  // CPython gives an odd place to the left side only when the width is odd.
  const int64_t missing = width - length;
  const int64_t left = missing / 2 + (missing & width & 1);
  return Like(self, Pad("", Pad("", self.text(), '>', code, length + left), '<', code, width));
}

Value CenterMethod(const RenderOptions&, const Value& self, Args& args) {
  return Justify(self, args, "center", '^');
}
Value LeftJustifyMethod(const RenderOptions&, const Value& self, Args& args) {
  return Justify(self, args, "ljust", '<');
}
Value RightJustifyMethod(const RenderOptions&, const Value& self, Args& args) {
  return Justify(self, args, "rjust", '>');
}

Value ZeroFillMethod(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("zfill", args, {"width"}, 1);
  const std::string& text = self.text();
  const bool sign = !text.empty() && (text[0] == '+' || text[0] == '-');
  return Like(self, Pad(sign ? text.substr(0, 1) : "", sign ? text.substr(1) : text, '=', '0',
                        bound.Number(0, 0)));
}

Value ExpandTabsMethod(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("expandtabs", args, {"tabsize"});
  const int64_t size = bound.Number(0, 8);
  std::string out;
  int64_t column = 0;
  const std::string& text = self.text();
  for (size_t pos = 0; pos < text.size();) {
    const char32_t code = NextCodePoint(text, &pos);
    if (code != '\t') {
      AppendCodePoint(&out, code);
      column = code == '\n' || code == '\r' ? 0 : column + 1;
    } else if (size > 0) {
      const int64_t spaces = size - column % size;
      Budget::CheckFits(spaces + static_cast<int64_t>(out.size()), 1);
      out.append(static_cast<size_t>(spaces), ' ');
      column += spaces;
    }
  }
  return Like(self, std::move(out));
}

Value FormatMethod(const RenderOptions&, const Value& self, Args& args) {
  return Like(self, FormatBraces(self, args));
}

Value FormatMapMethod(const RenderOptions&, const Value& self, Args& args) {
  const Bound bound("format_map", args, {"mapping"}, 1);
  Args fields;
  if (bound[0].is(Type::kDict)) {
    for (const auto& [key, value] : bound[0].as<Dict>().entries()) {
      fields.named.emplace_back(ToText(key), value);
    }
  }
  return Like(self, FormatBraces(self, fields));
}

// Whether there is a character and all satisfy `matches`.
template <bool (*matches)(char32_t)>
Value AllMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("method", args);
  const std::string& text = self.text();
  for (size_t pos = 0; pos < text.size();) {
    if (!matches(NextCodePoint(text, &pos))) return Value::Bool(false);
  }
  return Value::Bool(!text.empty());
}

Value IsPrintableMethod(const RenderOptions& options, const Value& self, Args& args) {
  return self.text().empty() ? Value::Bool(true) : AllMethod<IsPrintable>(options, self, args);
}

Value IsAsciiMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("isascii", args);
  return Value::Bool(self.as<Str>().ascii());
}

Value IsIdentifierMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("isidentifier", args);
  const std::string& text = self.text();
  for (size_t pos = 0; pos < text.size();) {
    const bool first = pos == 0;
    const char32_t code = NextCodePoint(text, &pos);
    if (first ? !IsIdentifierStart(code) : !IsIdentifierPart(code)) return Value::Bool(false);
  }
  return Value::Bool(!text.empty());
}

Value IsLowerMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("islower", args);
  return Value::Bool(IsLowerText(self.text()));
}
Value IsUpperMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("isupper", args);
  return Value::Bool(IsUpperText(self.text()));
}

Value IsTitleMethod(const RenderOptions&, const Value& self, Args& args) {
  ExpectNoArgs("istitle", args);
  bool any = false;
  bool inside_word = false;
  const std::string& text = self.text();
  for (size_t pos = 0; pos < text.size();) {
    const char32_t code = NextCodePoint(text, &pos);
    const bool lower = IsLower(code);
    const bool starts = IsUpper(code) || IsTitle(code);
    if ((starts && inside_word) || (lower && !inside_word)) return Value::Bool(false);
    inside_word = lower || starts;
    any = any || inside_word;
  }
  return Value::Bool(any);
}

Value NotSupported(const RenderOptions&, const Value&, Args&) {
  throw Failure(FailureKind::kUnsupported, "encode, translate and maketrans are not supported");
}

constexpr NamedFunction kTextMethods[] = {
    {"capitalize", &CapitalizeMethod},
    {"casefold", &CaseFoldMethod},
    {"center", &CenterMethod},
    {"count", &CountMethod},
    {"encode", &NotSupported},
    {"endswith", &EndsWithMethod},
    {"expandtabs", &ExpandTabsMethod},
    {"find", &FindTextAt},
    {"format", &FormatMethod},
    {"format_map", &FormatMapMethod},
    {"index", &IndexMethod},
    {"isalnum", &AllMethod<IsAlnum>},
    {"isalpha", &AllMethod<IsAlpha>},
    {"isascii", &IsAsciiMethod},
    {"isdecimal", &AllMethod<IsDecimal>},
    {"isdigit", &AllMethod<IsDigit>},
    {"isidentifier", &IsIdentifierMethod},
    {"islower", &IsLowerMethod},
    {"isnumeric", &AllMethod<IsNumeric>},
    {"isprintable", &IsPrintableMethod},
    {"isspace", &AllMethod<IsSpace>},
    {"istitle", &IsTitleMethod},
    {"isupper", &IsUpperMethod},
    {"join", &JoinMethod},
    {"ljust", &LeftJustifyMethod},
    {"lower", &LowerMethod},
    {"lstrip", &LeftStripMethod},
    {"maketrans", &NotSupported},
    {"partition", &PartitionMethod},
    {"removeprefix", &RemovePrefixMethod},
    {"removesuffix", &RemoveSuffixMethod},
    {"replace", &ReplaceMethod},
    {"rfind", &RightFindMethod},
    {"rindex", &RightIndexMethod},
    {"rjust", &RightJustifyMethod},
    {"rpartition", &RightPartitionMethod},
    {"rsplit", &RightSplitMethod},
    {"rstrip", &RightStripMethod},
    {"split", &SplitMethod},
    {"splitlines", &SplitLinesMethod},
    {"startswith", &StartsWithMethod},
    {"strip", &StripMethod},
    {"swapcase", &SwapCaseMethod},
    {"title", &TitleMethod},
    {"translate", &NotSupported},
    {"upper", &UpperMethod},
    {"zfill", &ZeroFillMethod},
};

}  // namespace

Value FindTextMethod(const Value& text, std::string_view name) {
  const NamedFunction* found = FindByName(kTextMethods, name);
  return found == nullptr ? Value::Missing()
                          : Value(Make<Function>(found->name, found->code, text));
}

std::vector<std::string_view> SplitSpaces(std::string_view text, int64_t max_splits) {
  Budget::StepBytes(text.size());
  std::vector<std::string_view> parts;
  std::string_view rest = StripSpace(text, true, false);
  while (!rest.empty() && (max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits)) {
    Budget::CheckFits(static_cast<int64_t>(parts.size()), sizeof(Value) + sizeof(Str));
    size_t end = 0;
    for (size_t pos = 0; pos < rest.size(); end = pos) {
      if (IsSpace(NextCodePoint(rest, &pos))) break;
    }
    parts.push_back(rest.substr(0, end));
    rest = StripSpace(rest.substr(end), true, false);
  }
  if (!rest.empty()) parts.push_back(rest);
  return parts;
}

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends) {
  Budget::StepBytes(text.size());
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = pos;
    const char32_t code = NextCodePoint(text, &pos);
    if (!IsLineBreak(code)) continue;
    if (code == '\r' && pos < text.size() && text[pos] == '\n') ++pos;
    Budget::CheckFits(static_cast<int64_t>(lines.size()), sizeof(Value) + sizeof(Str));
    lines.push_back(text.substr(begin, (keep_ends ? pos : end) - begin));
    begin = pos;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string ReplaceText(std::string_view text, std::string_view from, std::string_view to,
                        int64_t count) {
  Budget::StepBytes(text.size());
  std::string out;
  int64_t left = count < 0 ? INT64_MAX : count;
  size_t done = 0;
  while (left > 0) {
    // An empty pattern stands before each code point and at the end.
    size_t at = from.empty() ? done : FindText(text, from, done);
    if (at == std::string_view::npos) break;
    out.append(text, done, at - done);
    out += to;
    Budget::CheckFits(static_cast<int64_t>(out.size()), 1);
    --left;
    done = at + from.size();
    if (!from.empty()) continue;
    if (at == text.size()) return out;
    size_t next = at;
    NextCodePoint(text, &next);
    out.append(text, at, next - at);
    done = next;
  }
  out.append(text, done);
  return out;
}

bool IsLowerText(std::string_view text) {
  bool any = false;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t code = NextCodePoint(text, &pos);
    if (IsUpper(code) || IsTitle(code)) return false;
    any = any || IsLower(code);
  }
  return any;
}

bool IsUpperText(std::string_view text) {
  bool any = false;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t code = NextCodePoint(text, &pos);
    if (IsLower(code) || IsTitle(code)) return false;
    any = any || IsUpper(code);
  }
  return any;
}

}  // namespace slm::text::jinja
