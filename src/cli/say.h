// Lines of an answer.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <utility>

namespace slm::cli {

// Unlike fmt::print, without an error when nobody reads on.
template <class... Args>
void Say(fmt::format_string<Args...> format, Args&&... args) {
  std::fputs(fmt::format(format, std::forward<Args>(args)...).c_str(), stdout);
}

}  // namespace slm::cli
