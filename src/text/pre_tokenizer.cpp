#include "text/pre_tokenizer.h"

#include <algorithm>

#include "text/unicode.h"

namespace slm::text {
namespace {

const char* Run(const char* p, const char* end, uint8_t classes) {
  while (p < end) {
    const ClassedChar c = ClassAt(p, end);
    if ((c.char_class & classes) == 0) break;
    p += c.size;
  }
  return p;
}

const char* RunOfOthers(const char* p, const char* end, uint8_t classes) {
  while (p < end) {
    const ClassedChar c = ClassAt(p, end);
    if ((c.char_class & classes) != 0) break;
    p += c.size;
  }
  return p;
}

// \p{N}{1,max}
const char* Numbers(const char* p, const char* end, int max) {
  for (; p < end && max > 0; --max) {
    const ClassedChar c = ClassAt(p, end);
    if (c.char_class != kNumber) break;
    p += c.size;
  }
  return p;
}

// The length of 's 't 're 've 'm 'll 'd at `p`, which holds the apostrophe; 0 if there is none.
// `fold` is (?i:...), under which s is also U+017F, the long s.
size_t Contraction(const char* p, const char* end, bool fold) {
  const auto left = end - p;
  if (left < 2) return 0;
  const auto lower = [&](char c) { return fold && c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; };
  const char a = lower(p[1]);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (left < 3) return 0;
  if (fold && p[1] == '\xc5' && p[2] == '\xbf') return 3;
  const char b = lower(p[2]);
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
  return 0;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ at white space: up to the last newline of the run, else all but the
// character before what follows. `tail_whole` puts \s+$ in front of these.
const char* Spaces(const char* p, const char* end, bool tail_whole) {
  const char* after_newline = nullptr;
  const char* last = p;
  const char* q = p;
  while (q < end) {
    const ClassedChar c = ClassAt(q, end);
    if ((c.char_class & kSpace) == 0) break;
    last = q;
    q += c.size;
    if (c.char_class & kNewline) after_newline = q;
  }
  if (tail_whole && q == end) return end;
  if (after_newline != nullptr) return after_newline;
  return q == end || last == p ? q : last;
}

constexpr uint8_t kWordish = kLetter | kNumber | kSpace;  // what [^\s\p{L}\p{N}] excludes

// ` ?[^\s\p{L}\p{N}]+[\r\n]*`, with `slash` `[\r\n/]*`; null if it does not match.
const char* Symbols(const char* p, const char* end, bool slash) {
  const char* const start = *p == ' ' ? p + 1 : p;
  const char* q = RunOfOthers(start, end, kWordish);
  if (q == start) return nullptr;
  while (q < end && (*q == '\r' || *q == '\n' || (slash && *q == '/'))) ++q;
  return q;
}

// Llama 3, Qwen 2, cl100k:
//   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max_digits}|
//    ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// tiktoken's own cl100k has \s+$ before \s*[\r\n]+.
template <int max_digits, bool tail_whole>
const char* NextLlama3(const char* p, const char* end) {
  if (*p == '\'') {
    if (const size_t n = Contraction(p, end, true)) return p + n;
  }
  const ClassedChar first = ClassAt(p, end);
  if (first.char_class & kLetter) return Run(p + first.size, end, kLetter);
  if (first.char_class == kNumber) return Numbers(p, end, max_digits);
  if ((first.char_class & kNewline) == 0) {
    const char* const word = p + first.size;
    const char* const q = Run(word, end, kLetter);
    if (q != word) return q;
  }
  if (const char* q = Symbols(p, end, false)) return q;
  return Spaces(p, end, tail_whole);
}

// The two word alternatives of o200k and tekken, where U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and
// W = [\p{Ll}\p{Lm}\p{Lo}\p{M}]:
//   [^\r\n\p{L}\p{N}]?U*W+|[^\r\n\p{L}\p{N}]?U+W*
// Null if neither matches.
const char* CasedWord(const char* p, const char* end) {
  constexpr uint8_t kU = kUpper | kCaseless | kMark;
  constexpr uint8_t kW = kLower | kCaseless | kMark;
  const ClassedChar first = ClassAt(p, end);
  const bool has_prefix = (first.char_class & (kLetter | kNumber | kNewline)) == 0;
  const char* const word = has_prefix ? p + first.size : p;

  // U* takes all it can; then W+ either goes on from there, or U* gives back characters until the
  // last one that is a W too, and W+ is that one.
  const char* after_last_shared = nullptr;
  const char* q = word;
  while (q < end) {
    const ClassedChar c = ClassAt(q, end);
    if ((c.char_class & kU) == 0) break;
    q += c.size;
    if (c.char_class != kUpper) after_last_shared = q;
  }
  if (q < end && ClassAt(q, end).char_class == kLower) return Run(q, end, kW);
  if (after_last_shared != nullptr) return after_last_shared;
  // No prefix then: a mark alone is a word as well.
  if (has_prefix && first.char_class == kMark) return word;
  return q != word ? q : nullptr;
}

// o200k: CasedWord(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|
//   \s*[\r\n]+|\s+(?!\S)|\s+
// tekken: the same without contractions and with single digits.
template <int max_digits, bool contractions>
const char* NextO200k(const char* p, const char* end) {
  if (const char* q = CasedWord(p, end)) {
    if (contractions && q < end && *q == '\'') q += Contraction(q, end, true);
    return q;
  }
  if (ClassAt(p, end).char_class == kNumber) return Numbers(p, end, max_digits);
  if (const char* q = Symbols(p, end, true)) return q;
  return Spaces(p, end, false);
}

// GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// A text is also over where a character is in `stop`: an earlier step has split there.
template <class IsStop>
const char* NextGpt2Until(const char* p, const char* end, const IsStop& stop) {
  if (*p == '\'') {
    if (const size_t n = Contraction(p, end, false)) return p + n;
  }
  const char* start = p;
  ClassedChar c = ClassAt(p, end);
  if (*p == ' ' && p + 1 < end && !stop(p + 1, end)) c = ClassAt(++start, end);
  if (c.char_class & kLetter) return Run(start, end, kLetter);
  if (c.char_class == kNumber) return Run(start, end, kNumber);
  if ((c.char_class & kSpace) == 0) {
    const char* q = start;
    while (q < end && !stop(q, end)) {
      const ClassedChar other = ClassAt(q, end);
      if (other.char_class & kWordish) break;
      q += other.size;
    }
    return q;
  }
  const char* last = p;
  const char* q = p;
  while (q < end) {
    const ClassedChar space = ClassAt(q, end);
    if ((space.char_class & kSpace) == 0) break;
    last = q;
    q += space.size;
  }
  return q == end || last == p || stop(q, end) ? q : last;
}

const char* NextGpt2(const char* p, const char* end) {
  return NextGpt2Until(p, end, [](const char*, const char*) { return false; });
}

// SmolLM: each \p{N} alone, then GPT-2's expression between them.
const char* NextSmolLm(const char* p, const char* end) {
  const auto is_number = [](const char* q, const char* e) {
    return ClassAt(q, e).char_class == kNumber;
  };
  if (is_number(p, end)) return p + ClassAt(p, end).size;
  return NextGpt2Until(p, end, is_number);
}

// llama.cpp's default, four steps, each inside the pieces of the one before: [\p{P}$+<=>^~|]+, then
// GPT-2's expression, then \p{N}+, then [0-9][0-9][0-9].
const char* NextDefault(const char* p, const char* end) {
  const auto is_mark = [](const char* q, const char* e) {
    return ClassAt(q, e).char_class == kPunct ||
           std::string_view("$+<=>^~|").find(*q) != std::string_view::npos;
  };
  if (is_mark(p, end)) {
    while (p < end && is_mark(p, end)) p += ClassAt(p, end).size;
    return p;
  }
  if (ClassAt(p, end).char_class != kNumber) {
    const bool space_number = *p == ' ' && p + 1 < end && ClassAt(p + 1, end).char_class == kNumber;
    return space_number ? p + 1 : NextGpt2Until(p, end, is_mark);
  }
  const auto digits_at = [end](const char* q) {
    return end - q >= 3 && std::all_of(q, q + 3, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (digits_at(p)) return p + 3;
  do {
    p += ClassAt(p, end).size;
  } while (p < end && ClassAt(p, end).char_class == kNumber && !digits_at(p));
  return p;
}

constexpr auto kLlama3 = NextLlama3<3, false>;

// smaug-bpe is what llama.cpp's converter calls Llama 3's tokenizer without BOS (SmolLM3), dbrx is
// Phi-4, gpt-4o is Phi-4-mini. cl100k is no GGUF name: tiktoken's expression to the letter.
constexpr PreTokenizer kPreTokenizers[] = {
    {.name = "llama-bpe", .next = kLlama3, .whole_pieces = true, .add_bos = true},
    {.name = "llama3", .next = kLlama3, .whole_pieces = true, .add_bos = true},
    {.name = "llama-v3", .next = kLlama3, .whole_pieces = true, .add_bos = true},
    {.name = "smaug-bpe", .next = kLlama3, .whole_pieces = true},
    {.name = "dbrx", .next = kLlama3},
    {.name = "cl100k", .next = NextLlama3<3, true>, .whole_pieces = true},
    {.name = "qwen2", .next = NextLlama3<1, false>, .nfc = true},
    {.name = "deepseek-r1-qwen", .next = NextLlama3<1, false>},
    {.name = "gpt-4o", .next = NextO200k<3, true>},
    {.name = "tekken", .next = NextO200k<1, false>, .whole_pieces = true, .add_bos = true},
    {.name = "smollm", .next = NextSmolLm},
    {.name = "gpt-2", .next = NextGpt2},
    {.name = "default", .next = NextDefault},
};

}  // namespace

const PreTokenizer* FindPreTokenizer(std::string_view name) {
  for (const PreTokenizer& pre : kPreTokenizers) {
    if (pre.name == name) return &pre;
  }
  return nullptr;
}

std::string PreTokenizerNames() {
  std::string names;
  for (const PreTokenizer& pre : kPreTokenizers) {
    if (!names.empty()) names += ", ";
    names += pre.name;
  }
  return names;
}

}  // namespace slm::text
