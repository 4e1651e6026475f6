// JSON that somebody else wrote: messages, tools, template variables, files of checkpoints.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace slm::text {

// Throws Error kBadInput that begins with `where`: not JSON, or nested so deep that copying the
// value, which recurses, would overflow the stack.
nlohmann::ordered_json ParseJson(std::string_view text, const std::string& where);

// The same with the members in order of their names. For large files: what keeps the order of the
// text searches all members for each new one, and a file may have 10^5.
nlohmann::json ParseSortedJson(std::string_view text, const std::string& where);

}  // namespace slm::text
