// Code points and case the way Python's str has them. All text inside the interpreter is valid
// UTF-8, because SanitizeUtf8 is applied to whatever comes in.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace slm::text::jinja {

// Each byte that is not part of valid UTF-8 becomes U+FFFD.
std::string SanitizeUtf8(std::string_view bytes);

// The functions below take valid UTF-8.
size_t CountCodePoints(std::string_view text);
// Byte offset of code point `index`; text.size() when there are no more than `index`.
size_t CodePointOffset(std::string_view text, size_t index);
// Reads the code point at *pos and moves *pos behind it.
char32_t NextCodePoint(std::string_view text, size_t* pos);
// The code point that ends at *pos > 0; moves *pos to its first byte.
char32_t PreviousCodePoint(std::string_view text, size_t* pos);
// Surrogates and numbers above U+10FFFF become U+FFFD.
void AppendCodePoint(std::string* out, char32_t code);

bool IsSpace(char32_t code);
bool IsLineBreak(char32_t code);  // of str.splitlines
bool IsAlpha(char32_t code);
bool IsDecimal(char32_t code);
bool IsDigit(char32_t code);
bool IsNumeric(char32_t code);
bool IsAlnum(char32_t code);
bool IsLower(char32_t code);
bool IsUpper(char32_t code);
bool IsTitle(char32_t code);
bool IsPrintable(char32_t code);
bool IsIdentifierStart(char32_t code);
bool IsIdentifierPart(char32_t code);
// The value of a decimal digit (category Nd), -1 for others.
int DecimalValue(char32_t code);

std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
std::string SwapCase(std::string_view text);
std::string CaseFold(std::string_view text);
std::string TitleCase(std::string_view text);   // str.title
std::string Capitalize(std::string_view text);  // str.capitalize

std::string_view StripSpace(std::string_view text, bool left, bool right);

// The first position >= from where `needle` stands, or npos. Linear time also on hostile text.
size_t FindText(std::string_view text, std::string_view needle, size_t from = 0);
// The last one that starts at or before `from`.
size_t FindTextBackwards(std::string_view text, std::string_view needle,
                         size_t from = std::string_view::npos);

}  // namespace slm::text::jinja
