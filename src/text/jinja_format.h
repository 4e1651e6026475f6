// The number formatting that `%` and str.format share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja_value.h"

namespace slm::text::jinja {

struct NumberStyle {
  char type = 'd';  // b o x X d, e E f F g G, %
  char sign = '-';  // '-', '+' or ' '
  bool alternate = false;
  char grouping = 0;  // ',' or '_'
  int64_t precision = -1;
};

// A formatted number in two parts, so that zeros or fill can go between them.
struct NumberText {
  std::string prefix;  // sign and 0x
  std::string digits;
};

NumberText FormatInteger(Int value, const NumberStyle& style);
NumberText FormatFloat(double value, const NumberStyle& style);

// Pads to `width` code points. align: '<', '>', '^' or '=' (between prefix and digits).
std::string Pad(const std::string& prefix, const std::string& body, char align, char32_t fill,
                int64_t width);

// Digits at *pos as a number, and moves *pos behind them; -1 when there is none.
int64_t ReadNumber(std::string_view text, size_t* pos);

}  // namespace slm::text::jinja
