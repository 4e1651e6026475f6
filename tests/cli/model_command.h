// What the tests of commands share: a model, and a command's JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace slm::testing {

// The path of a tiny Q8_0 model of the family gemma3.
const std::string& Model();

// What a command that must succeed prints with --json.
nlohmann::json Json(std::vector<std::string> args, const std::string& input = "");

}  // namespace slm::testing
