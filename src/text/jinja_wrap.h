// Python's textwrap.wrap.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slm::text::jinja {

struct WrapStyle {
  int64_t width = 79;
  bool break_long_words = true;
  bool break_on_hyphens = true;
};

// The lines of `text`, which has no line breaks. Throws ValueError for a width that is not
// positive.
std::vector<std::string> WrapText(std::string_view text, const WrapStyle& style);

}  // namespace slm::text::jinja
