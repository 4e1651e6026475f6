// Text out of files and requests, as it may be shown on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace slm {

// `text` with its control characters, but for tabs and line feeds, written \xNN: names in a file
// must not steer the terminal of who reads about them. Other bytes stay as they are.
std::string Printable(std::string_view text);

}  // namespace slm
