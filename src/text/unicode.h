// UTF-8 and the Unicode facts that tokenizers need: the classes their published regular expressions
// name, and normalization form C. Bytes that are not UTF-8 are legal everywhere: each one counts as
// a character of class kOther. Categories and NFC come from utf8proc (Unicode 15.0).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slm::text {

// A character has at most one of these, save for CR and LF, which are both kSpace and kNewline.
// None of them: symbols, controls, private use, unassigned, bytes that are not UTF-8.
enum CharClass : uint8_t {
  kOther = 0,
  kUpper = 1,     // Lu, Lt
  kLower = 2,     // Ll
  kCaseless = 4,  // Lm, Lo
  kMark = 8,      // M
  kNumber = 16,   // N
  kSpace = 32,    // White_Space, the \s of Oniguruma and of Rust
  kNewline = 64,  // CR, LF
  kPunct = 128,   // P
  kLetter = kUpper | kLower | kCaseless,
};

struct Utf8Char {
  enum Status : uint8_t { kValid, kInvalid, kCut };  // kCut: the text ends inside a valid character
  uint32_t code;                                     // U+FFFD unless kValid
  uint8_t size;  // bytes taken; not kValid: the maximal subpart to replace by one U+FFFD
  Status status;
};

// Decodes the character at `p`; needs p < end. Unicode 15, table 3-7: no surrogates, no overlong
// forms.
Utf8Char DecodeUtf8(const char* p, const char* end);

void AppendUtf8(uint32_t code, std::string* out);

bool IsUtf8(std::string_view text);

namespace internal {
extern const uint8_t kAsciiClass[128];
uint8_t NonAsciiClass(uint32_t code);
}  // namespace internal

// A mask of CharClass.
inline uint8_t ClassOf(uint32_t code) {
  return code < 128 ? internal::kAsciiClass[code] : internal::NonAsciiClass(code);
}

struct ClassedChar {
  uint8_t char_class;
  uint8_t size;
};

// The character at `p` as the pre-tokenizers see it: an invalid byte stands alone.
inline ClassedChar ClassAt(const char* p, const char* end) {
  const auto byte = static_cast<uint8_t>(*p);
  if (byte < 128) return {internal::kAsciiClass[byte], 1};
  const Utf8Char c = DecodeUtf8(p, end);
  if (c.status != Utf8Char::kValid) return {kOther, 1};
  return {internal::NonAsciiClass(c.code), c.size};
}

// `text` in normalization form C; nothing when it already is. Bytes that are not UTF-8 stay as they
// are and separate what is normalized. Time is O(n log n) for any input.
std::optional<std::string> NormalizeNfc(std::string_view text);

}  // namespace slm::text
