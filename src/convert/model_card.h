// The front matter of a model card: the few forms of YAML that model cards use.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace slm::convert {

// Top-level keys with their text, or list of texts. What is nested deeper is left out.
using ModelCard = std::map<std::string, std::vector<std::string>>;

ModelCard ParseModelCard(std::string_view readme);

}  // namespace slm::convert
