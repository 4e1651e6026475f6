#include "text/jinja_unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "text/jinja_budget.h"
#include "text/jinja_unicode_tables.h"

namespace slm::text::jinja {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kCapitalSigma = 0x3A3;
constexpr char32_t kSmallSigma = 0x3C3;
constexpr char32_t kFinalSigma = 0x3C2;

// The length of the valid sequence at `pos`, or 0.
size_t ValidLength(std::string_view bytes, size_t pos) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(pos);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || pos + length > bytes.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(pos + i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = at(pos + 1);
  const bool too_long = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool surrogate = lead == 0xED && second >= 0xA0;
  const bool too_large = lead == 0xF4 && second >= 0x90;
  return too_long || surrogate || too_large ? 0 : length;
}

template <size_t N>
bool InRanges(const CodeRange (&ranges)[N], char32_t code) {
  const auto* range = std::partition_point(std::begin(ranges), std::end(ranges),
                                           [&](const CodeRange& r) { return r.last < code; });
  return range != std::end(ranges) && range->first <= code;
}

utf8proc_category_t Category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

const SpecialCase* FindSpecialCase(char32_t code) {
  const auto* found =
      std::lower_bound(std::begin(kSpecialCases), std::end(kSpecialCases), code,
                       [](const SpecialCase& entry, char32_t c) { return entry.code < c; });
  return found != std::end(kSpecialCases) && found->code == code ? found : nullptr;
}

void AppendMapping(std::string* out, const char32_t (&codes)[3]) {
  for (char32_t code : codes) {
    if (code != 0) AppendCodePoint(out, code);
  }
}

void AppendUpper(std::string* out, char32_t code) {
  if (const SpecialCase* special = FindSpecialCase(code)) {
    AppendMapping(out, special->upper);
  } else {
    AppendCodePoint(out,
                    static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code))));
  }
}

void AppendTitle(std::string* out, char32_t code) {
  if (const SpecialCase* special = FindSpecialCase(code)) {
    AppendMapping(out, special->title);
  } else {
    AppendCodePoint(out,
                    static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(code))));
  }
}

bool IsCased(char32_t code) { return IsLower(code) || IsUpper(code) || IsTitle(code); }

// Unicode's Case_Ignorable.
bool IsCaseIgnorable(char32_t code) {
  constexpr char32_t kPunctuation[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,
                                       0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                       0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
  switch (Category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return std::find(std::begin(kPunctuation), std::end(kPunctuation), code) !=
             std::end(kPunctuation);
  }
}

// A capital sigma that ends a word has its own lower case.
bool IsFinalSigma(std::string_view text, size_t begin, size_t end) {
  bool cased_before = false;
  for (size_t pos = begin; pos > 0;) {
    const char32_t code = PreviousCodePoint(text, &pos);
    if (IsCaseIgnorable(code)) continue;
    cased_before = IsCased(code);
    break;
  }
  if (!cased_before) return false;
  for (size_t pos = end; pos < text.size();) {
    const char32_t code = NextCodePoint(text, &pos);
    if (!IsCaseIgnorable(code)) return !IsCased(code);
  }
  return true;
}

void AppendLower(std::string* out, std::string_view text, size_t begin, size_t end, char32_t code) {
  if (code == 0x130) {  // the only lower case of two code points: i with a combining dot
    AppendCodePoint(out, 'i');
    AppendCodePoint(out, 0x307);
  } else if (code == kCapitalSigma) {
    AppendCodePoint(out, IsFinalSigma(text, begin, end) ? kFinalSigma : kSmallSigma);
  } else {
    AppendCodePoint(out,
                    static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))));
  }
}

// Calls visit(code, begin, end) for each code point.
template <class Visit>
void ForEachCodePoint(std::string_view text, Visit visit) {
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const char32_t code = NextCodePoint(text, &pos);
    visit(code, begin, pos);
  }
}

}  // namespace

std::string SanitizeUtf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t pos = 0; pos < bytes.size();) {
    const size_t length = ValidLength(bytes, pos);
    if (length == 0) {
      AppendCodePoint(&out, kReplacement);
      ++pos;
    } else {
      out.append(bytes, pos, length);
      pos += length;
    }
  }
  return out;
}

size_t CountCodePoints(std::string_view text) {
  size_t count = 0;
  for (char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

size_t CodePointOffset(std::string_view text, size_t index) {
  size_t pos = 0;
  for (; pos < text.size(); ++pos) {
    if ((static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80) continue;
    if (index == 0) break;
    --index;
  }
  return pos;
}

char32_t NextCodePoint(std::string_view text, size_t* pos) {
  const auto byte = [&] { return static_cast<unsigned char>(text[(*pos)++]); };
  const unsigned char lead = byte();
  if (lead < 0x80) return lead;
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  char32_t code = lead & (0x3Fu >> more);
  for (int i = 0; i < more && *pos < text.size(); ++i) code = (code << 6) | (byte() & 0x3Fu);
  return code;
}

char32_t PreviousCodePoint(std::string_view text, size_t* pos) {
  do {
    --*pos;
  } while (*pos > 0 && (static_cast<unsigned char>(text[*pos]) & 0xC0) == 0x80);
  size_t forward = *pos;
  return NextCodePoint(text, &forward);
}

void AppendCodePoint(std::string* out, char32_t code) {
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) code = kReplacement;
  const auto put = [out](char32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool IsSpace(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
         code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool IsLineBreak(char32_t code) {
  return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
         code == 0x2028 || code == 0x2029;
}

bool IsAlpha(char32_t code) {
  const utf8proc_category_t category = Category(code);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool IsDecimal(char32_t code) { return Category(code) == UTF8PROC_CATEGORY_ND; }

bool IsDigit(char32_t code) { return IsDecimal(code) || InRanges(kDigitsNotDecimal, code); }

bool IsNumeric(char32_t code) {
  const utf8proc_category_t category = Category(code);
  return (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) ||
         InRanges(kNumericLetters, code);
}

bool IsAlnum(char32_t code) { return IsAlpha(code) || IsNumeric(code); }

bool IsLower(char32_t code) {
  return Category(code) == UTF8PROC_CATEGORY_LL || InRanges(kLowerNotLl, code);
}

bool IsUpper(char32_t code) {
  return Category(code) == UTF8PROC_CATEGORY_LU || InRanges(kUpperNotLu, code);
}

bool IsTitle(char32_t code) { return Category(code) == UTF8PROC_CATEGORY_LT; }

bool IsPrintable(char32_t code) {
  if (code == ' ') return true;
  switch (Category(code)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    default:
      return true;
  }
}

bool IsIdentifierStart(char32_t code) {
  return code == '_' || IsAlpha(code) || Category(code) == UTF8PROC_CATEGORY_NL;
}

bool IsIdentifierPart(char32_t code) {
  switch (Category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return IsIdentifierStart(code);
  }
}

int DecimalValue(char32_t code) {
  if (code >= '0' && code <= '9') return static_cast<int>(code - '0');
  if (code < 0x80 || !IsDecimal(code)) return -1;
  // Decimal digits stand in runs of ten, 0 first; runs follow each other without a gap only in
  // the mathematical digits.
  if (code >= 0x1D7CE && code <= 0x1D7FF) return static_cast<int>((code - 0x1D7CE) % 10);
  int value = 0;
  while (value < 9 && IsDecimal(code - static_cast<char32_t>(value) - 1)) ++value;
  return value;
}

std::string Upper(std::string_view text) {
  std::string out;
  ForEachCodePoint(text, [&](char32_t code, size_t, size_t) { AppendUpper(&out, code); });
  return out;
}

std::string Lower(std::string_view text) {
  std::string out;
  ForEachCodePoint(text, [&](char32_t code, size_t begin, size_t end) {
    AppendLower(&out, text, begin, end, code);
  });
  return out;
}

std::string SwapCase(std::string_view text) {
  std::string out;
  ForEachCodePoint(text, [&](char32_t code, size_t begin, size_t end) {
    if (IsUpper(code)) {
      AppendLower(&out, text, begin, end, code);
    } else if (IsLower(code)) {
      AppendUpper(&out, code);
    } else {
      AppendCodePoint(&out, code);
    }
  });
  return out;
}

std::string CaseFold(std::string_view text) {
  utf8proc_uint8_t* folded = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &folded, UTF8PROC_CASEFOLD);
  if (size < 0) return std::string(text);
  std::string out(reinterpret_cast<char*>(folded), static_cast<size_t>(size));
  std::free(folded);
  return out;
}

std::string TitleCase(std::string_view text) {
  std::string out;
  bool inside_word = false;
  ForEachCodePoint(text, [&](char32_t code, size_t begin, size_t end) {
    if (inside_word) {
      AppendLower(&out, text, begin, end, code);
    } else {
      AppendTitle(&out, code);
    }
    inside_word = IsCased(code);
  });
  return out;
}

std::string Capitalize(std::string_view text) {
  std::string out;
  ForEachCodePoint(text, [&](char32_t code, size_t begin, size_t end) {
    if (begin == 0) {
      AppendTitle(&out, code);
    } else {
      AppendLower(&out, text, begin, end, code);
    }
  });
  return out;
}

std::string_view StripSpace(std::string_view text, bool left, bool right) {
  size_t begin = 0;
  size_t end = text.size();
  while (left && begin < end) {
    size_t next = begin;
    if (!IsSpace(NextCodePoint(text, &next))) break;
    begin = next;
  }
  while (right && end > begin) {
    size_t previous = end;
    if (!IsSpace(PreviousCodePoint(text, &previous))) break;
    end = previous;
  }
  return text.substr(begin, end - begin);
}

size_t FindText(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  Budget::StepBytes(needle.size());
#ifdef __GLIBC__
  // std::string_view::find is quadratic; glibc's memmem is not.
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  const size_t pos = found == nullptr
                         ? std::string_view::npos
                         : static_cast<size_t>(static_cast<const char*>(found) - text.data());
#else
  if (needle.size() > 64) Budget::Step(static_cast<int64_t>((text.size() - from) / 64));
  const size_t pos = text.find(needle, from);
#endif
  Budget::StepBytes((pos == std::string_view::npos ? text.size() : pos) - from);
  return pos;
}

size_t FindTextBackwards(std::string_view text, std::string_view needle, size_t from) {
  if (needle.size() > text.size()) return std::string_view::npos;
  // Quadratic, so that long needles pay for their length in advance.
  Budget::Step(1 + static_cast<int64_t>(text.size() / 64 * (1 + needle.size() / 16)));
  return text.rfind(needle, from);
}

}  // namespace slm::text::jinja
