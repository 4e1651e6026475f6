#include "plan/facts.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/nearest_names.h"

namespace slm::plan {

using nlohmann::ordered_json;

const ordered_json& Facts(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string_view, ordered_json> parsed;
  const std::lock_guard lock(mutex);
  const std::span<const FactsFile> files = FactsFiles();
  const auto file = std::find_if(files.begin(), files.end(),
                                 [&](const FactsFile& each) { return each.name == name; });
  SLM_CHECK(file != files.end());
  const auto [at, is_new] = parsed.try_emplace(file->name);
  if (is_new) at->second = ordered_json::parse(file->text);
  return at->second;
}

const ordered_json& Records(std::string_view name) { return Facts(name).at("records"); }

const ordered_json& FindRecord(std::string_view name, const std::string& id) {
  constexpr size_t kSuggestions = 5;
  const std::string wanted = UpperCase(id);
  std::vector<std::string> ids;
  for (const ordered_json& record : Records(name)) {
    ids.push_back(record.at("id"));
    if (UpperCase(ids.back()) == wanted) return record;
  }
  throw Error(Code::kUsage, "{} is none of the {} that are known; near it: {}", id, name,
              fmt::join(NearestNames(id, ids, kSuggestions), ", "));
}

std::string DescribeSource(std::string_view name, const std::string& key) {
  const ordered_json& sources = Facts(name).at("sources");
  if (!sources.contains(key)) return key;
  const ordered_json& source = sources.at(key);
  std::string text = source.at("title").get<std::string>();
  if (const std::string published = source.value("published", ""); !published.empty())
    text += " (" + published + ")";
  if (const std::string url = source.value("url", ""); !url.empty()) text += ", " + url;
  return text;
}

}  // namespace slm::plan
