// What a name that nobody knows may have meant.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace slm {

std::string UpperCase(std::string_view text);  // ASCII

// Up to `limit` of `names` that are most like `name`, best first: for "did you mean".
std::vector<std::string> NearestNames(const std::string& name,
                                      const std::vector<std::string>& names, size_t limit);

}  // namespace slm
