// Files of JSON objects: one a line, or one list of them.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace slm::format {

// f(object, line) for every one, `line` from 1, where it begins. Empty lines are skipped. Throws
// kBadInput, naming file and line, for what is no JSON object and for a file that has none.
using OnJsonObject = std::function<void(const nlohmann::ordered_json& object, size_t line)>;
void ForJsonObjects(const std::string& path, const OnJsonObject& f);

// The same of the text of a file. `path` is for messages.
void ForJsonObjects(const std::string& path, std::string_view text, const OnJsonObject& f);

}  // namespace slm::format
