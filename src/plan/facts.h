// What the program knows without looking: the files of catalog/, built into it. Each figure there
// has a source, a date and a confidence; catalog/README.md has the members.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace slm::plan {

struct FactsFile {
  std::string_view name;  // "models"
  std::string_view text;
};
std::span<const FactsFile> FactsFiles();

// A file of these, parsed when it is first asked for: "about", "sources" and "records".
const nlohmann::ordered_json& Facts(std::string_view name);
const nlohmann::ordered_json& Records(std::string_view name);

// The record with this id, in any case. Throws kUsage with the nearest ids.
const nlohmann::ordered_json& FindRecord(std::string_view name, const std::string& id);

// "Phi-4 model card (2024-12-12), https://..": a source of the file, by its key. What is no key is
// its own description: files of users say what their source is.
std::string DescribeSource(std::string_view name, const std::string& key);

}  // namespace slm::plan
