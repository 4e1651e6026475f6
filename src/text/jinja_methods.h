// The parts of FindMethod that live in files of their own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace slm::text::jinja {

Value FindTextMethod(const Value& text, std::string_view name);             // str and Markup
Value FindFunctionAttribute(const Value& function, std::string_view name);  // dict.fromkeys

bool IsLowerText(std::string_view text);  // str.islower
bool IsUpperText(std::string_view text);  // str.isupper

// str.split(sep, maxsplit) and str.splitlines, which filters use too. Views into `text`.
std::vector<std::string_view> SplitSpaces(std::string_view text, int64_t max_splits);
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends);

std::string ReplaceText(std::string_view text, std::string_view from, std::string_view to,
                        int64_t count);

}  // namespace slm::text::jinja
