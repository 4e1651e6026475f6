// Files of JSON objects: one a line, or one list of them.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace slm::format {

// f(object, line) for every one, `line` from 1, of a list the number of the element. Empty lines
// are skipped. Throws kBadInput, naming file and line, for what is no JSON object and for a file
// that has none.
void ForJsonObjects(const std::string& path,
                    const std::function<void(const nlohmann::ordered_json&, size_t)>& f);

}  // namespace slm::format
