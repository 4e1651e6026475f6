// Numbers and their texts.
#include <charconv>
#include <cmath>
#include <limits>

#include "text/jinja_failure.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

// Strips spaces, checks the underscores between digits and turns Unicode digits into ASCII.
std::optional<std::string> NormalizeNumber(std::string_view text) {
  text = StripSpace(text, true, true);
  std::string out;
  bool after_digit = false;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t code = NextCodePoint(text, &pos);
    if (code == '_') {
      const bool before_digit =
          pos < text.size() && std::isalnum(static_cast<unsigned char>(text[pos]));
      if (!after_digit || !before_digit) return std::nullopt;
      after_digit = false;
      continue;
    }
    const int digit = DecimalValue(code);
    if (digit < 0 && code >= 0x80) return std::nullopt;
    out += static_cast<char>(digit >= 0 ? '0' + digit : static_cast<int>(code));
    after_digit = std::isalnum(static_cast<unsigned char>(out.back())) != 0;
  }
  return out;
}

int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

}  // namespace

std::string IntText(Int value) {
  // Negative all the way: the lowest number has no positive counterpart.
  const bool negative = value < 0;
  std::string reversed;
  do {
    const auto digit = static_cast<int>(value % 10);
    reversed += static_cast<char>('0' + (digit < 0 ? -digit : digit));
    value /= 10;
  } while (value != 0);
  if (negative) reversed += '-';
  return {reversed.rbegin(), reversed.rend()};
}

std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string_view scientific(buffer, static_cast<size_t>(end - buffer));
  std::string sign;
  if (scientific.front() == '-') {
    sign = "-";
    scientific.remove_prefix(1);
  }
  const size_t e = scientific.find('e');
  std::string digits(scientific.substr(0, e));
  if (digits.size() > 1) digits.erase(1, 1);  // the point
  const int exponent = std::stoi(std::string(scientific.substr(e + 1)));
  if (exponent < -4 || exponent >= 16) {
    std::string out = sign + digits.substr(0, 1);
    if (digits.size() > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) {
    return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  }
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::optional<Int> ParseInt(std::string_view text, int base) {
  if (base != 0 && (base < 2 || base > 36)) {
    throw Failure(FailureKind::kValue, "int() base must be >= 2 and <= 36, or 0");
  }
  auto normalized = NormalizeNumber(text);
  if (!normalized) return std::nullopt;
  std::string_view digits = *normalized;
  bool negative = false;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    negative = digits[0] == '-';
    digits.remove_prefix(1);
  }
  if (digits.size() > 2 && digits[0] == '0') {
    const char letter = static_cast<char>(digits[1] | 0x20);
    const int prefixed = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (prefixed != 0 && (base == prefixed || base == 0)) {
      base = prefixed;
      digits.remove_prefix(2);
    }
  }
  if (base == 0) {
    base = 10;
    const bool zero = digits.find_first_not_of('0') == std::string_view::npos;
    if (digits.size() > 1 && digits[0] == '0' && !zero) return std::nullopt;
  }
  if (digits.empty()) return std::nullopt;
  Int value = 0;
  for (char c : digits) {
    const int digit = DigitValue(c);
    if (digit >= base) return std::nullopt;
    value = CheckedAdd(CheckedMul(value, base), digit);
  }
  return negative ? -value : value;
}

std::optional<double> ParseFloat(std::string_view text) {
  auto normalized = NormalizeNumber(text);
  if (!normalized) return std::nullopt;
  std::string_view digits = *normalized;
  bool negative = false;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    negative = digits[0] == '-';
    digits.remove_prefix(1);
  }
  // from_chars would also take a second sign and "nan(...)".
  if (digits.empty() || digits[0] == '-' || digits.find('(') != std::string_view::npos) {
    return std::nullopt;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // Too large or too small: from_chars leaves the value alone, strtod says which.
    value = std::strtod(std::string(digits).c_str(), nullptr);
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

Int FloatToInt(double value) {
  if (std::isnan(value)) {
    throw Failure(FailureKind::kValue, "cannot convert float NaN to integer");
  }
  if (std::isinf(value)) {
    throw Failure(FailureKind::kOverflow, "cannot convert float infinity to integer");
  }
  if (std::abs(value) >= 0x1p126) {
    throw Failure(FailureKind::kOverflow, "an integer has more than 127 bits");
  }
  return static_cast<Int>(value);
}

}  // namespace slm::text::jinja
