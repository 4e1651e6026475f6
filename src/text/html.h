// Text that becomes part of a page.
#pragma once

#include <string>
#include <string_view>

namespace slm::text {

// As markupsafe's: as the content of an element, or of an attribute in quotes, nothing in it is
// markup.
std::string EscapeHtml(std::string_view text);

}  // namespace slm::text
