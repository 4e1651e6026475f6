#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace slm::text {
namespace {

constexpr uint32_t kReplacement = 0xfffd;

constexpr bool IsWhiteSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

uint8_t ClassFromUtf8proc(uint32_t code) {
  if (IsWhiteSpace(code)) return kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return kUpper;
    case UTF8PROC_CATEGORY_LL:
      return kLower;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return kCaseless;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return kMark;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return kNumber;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return kPunct;
    default:
      return kOther;
  }
}

int CombiningClass(int32_t code) {
  return static_cast<int>(utf8proc_get_property(code)->combining_class);
}

constexpr auto kNfcDecompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);

// Writes the canonical decomposition of `code`, recursively, and returns its length. The longest
// one in Unicode has four characters.
size_t Decompose(int32_t code, std::array<int32_t, 16>* out) {
  const auto n = utf8proc_decompose_char(
      code, out->data(), static_cast<utf8proc_ssize_t>(out->size()), kNfcDecompose, nullptr);
  if (n <= 0 || static_cast<size_t>(n) > out->size()) {
    (*out)[0] = code;
    return 1;
  }
  return static_cast<size_t>(n);
}

// Whether text with this character may differ from its NFC: marks and the vowels and finals of
// Hangul can join what is before them, others may have a decomposition that is not composed again.
bool MayChangeInNfc(uint32_t code) {
  if (code < 0x300) return false;
  if (ClassOf(code) == kMark || (code >= 0x1100 && code <= 0x11ff)) return true;
  if (code >= 0xac00 && code <= 0xd7a3) return false;  // Hangul syllables compose back
  std::array<int32_t, 16> parts;
  return Decompose(static_cast<int32_t>(code), &parts) != 1 ||
         parts[0] != static_cast<int32_t>(code);
}

// Appends NFC of valid UTF-8. utf8proc_map would do it, but it orders marks by adjacent swaps: a
// long run of marks takes quadratic time.
void AppendNfc(std::string_view text, std::string* out) {
  std::vector<int32_t> codes;
  codes.reserve(text.size());
  std::array<int32_t, 16> parts;
  for (const char *p = text.data(), *end = p + text.size(); p < end;) {
    const Utf8Char c = DecodeUtf8(p, end);
    p += c.size;
    const size_t n = Decompose(static_cast<int32_t>(c.code), &parts);
    codes.insert(codes.end(), parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(n));
  }
  for (auto first = codes.begin(); first != codes.end();) {
    if (CombiningClass(*first) == 0) {
      ++first;
      continue;
    }
    const auto last =
        std::find_if(first, codes.end(), [](int32_t c) { return CombiningClass(c) == 0; });
    std::stable_sort(first, last,
                     [](int32_t a, int32_t b) { return CombiningClass(a) < CombiningClass(b); });
    first = last;
  }
  const auto composed =
      utf8proc_normalize_utf32(codes.data(), static_cast<utf8proc_ssize_t>(codes.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  for (utf8proc_ssize_t i = 0; i < composed; ++i)
    AppendUtf8(static_cast<uint32_t>(codes[static_cast<size_t>(i)]), out);
}

}  // namespace

namespace internal {

// Spelled out because every character of most texts goes through it.
const uint8_t kAsciiClass[128] = {
#define S kSpace
#define W (kSpace | kNewline)
#define P kPunct
#define N kNumber
#define U kUpper
#define L kLower
    0, 0, 0, 0, 0, 0, 0, 0, 0, S, W, S, S, W, 0, 0,  // 00
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // 10
    S, P, P, P, 0, P, P, P, P, P, P, 0, P, P, P, P,  // 20: $ and + are symbols
    N, N, N, N, N, N, N, N, N, N, P, P, 0, 0, 0, P,  // 30: < = > are symbols
    P, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,  // 40
    U, U, U, U, U, U, U, U, U, U, U, P, P, P, 0, P,  // 50: ^ is a symbol
    0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,  // 60: ` is a symbol
    L, L, L, L, L, L, L, L, L, L, L, P, 0, P, 0, 0,  // 70: | ~ are symbols
#undef S
#undef W
#undef P
#undef N
#undef U
#undef L
};

uint8_t NonAsciiClass(uint32_t code) {
  // The basic plane as a table; what is beyond is rare enough for two look-ups in utf8proc.
  static const auto table = [] {
    auto classes = std::make_unique<std::array<uint8_t, 0x10000>>();
    for (uint32_t c = 0; c < classes->size(); ++c) (*classes)[c] = ClassFromUtf8proc(c);
    return classes;
  }();
  return code < 0x10000 ? (*table)[code] : ClassFromUtf8proc(code);
}

}  // namespace internal

Utf8Char DecodeUtf8(const char* p, const char* end) {
  const auto byte = [p](size_t i) { return static_cast<uint8_t>(p[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1, Utf8Char::kValid};
  if (first < 0xc2 || first > 0xf4) return {kReplacement, 1, Utf8Char::kInvalid};
  const uint8_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  // The second byte alone shows overlong forms, surrogates and code points past U+10FFFF.
  const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  const auto available = static_cast<size_t>(end - p);
  uint32_t code = first & (0xffu >> (length + 1));
  for (uint8_t i = 1; i < length; ++i) {
    if (i == available) return {kReplacement, i, Utf8Char::kCut};
    const bool fits = i == 1 ? byte(1) >= low && byte(1) <= high : (byte(i) & 0xc0) == 0x80;
    if (!fits) return {kReplacement, i, Utf8Char::kInvalid};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  return {code, length, Utf8Char::kValid};
}

bool IsUtf8(std::string_view text) {
  const char* const end = text.data() + text.size();
  for (const char* p = text.data(); p < end;) {
    const Utf8Char c = DecodeUtf8(p, end);
    if (c.status != Utf8Char::kValid) return false;
    p += c.size;
  }
  return true;
}

void AppendUtf8(uint32_t code, std::string* out) {
  const auto put = [out](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

std::optional<std::string> NormalizeNfc(std::string_view text) {
  const auto view = [](const char* from, const char* to) {
    return std::string_view(from, static_cast<size_t>(to - from));
  };
  // A run of characters that may change is normalized together with the one before it.
  const char* const end = text.data() + text.size();
  const char* copied = text.data();
  const char* before = text.data();
  std::string out;
  for (const char* p = text.data(); p < end;) {
    if (static_cast<uint8_t>(*p) < 0x80) {
      before = p++;
      continue;
    }
    Utf8Char c = DecodeUtf8(p, end);
    if (c.status != Utf8Char::kValid || !MayChangeInNfc(c.code)) {
      before = c.status == Utf8Char::kValid ? p : p + c.size;
      p += c.size;
      continue;
    }
    do {
      p += c.size;
      if (p == end) break;
      c = DecodeUtf8(p, end);
    } while (c.status == Utf8Char::kValid && MayChangeInNfc(c.code));
    out.append(view(copied, before));
    AppendNfc(view(before, p), &out);
    copied = before = p;
  }
  if (copied == text.data()) return std::nullopt;
  out.append(view(copied, end));
  if (out == text) return std::nullopt;
  return out;
}

}  // namespace slm::text
