#include "plan/catalog.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/nearest_names.h"
#include "plan/facts.h"

namespace slm::plan {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFile = "models";
// A number of claimed languages that is likely to have a given one.
constexpr int64_t kManyLanguages = 100;

CatalogModel FromRecord(const ordered_json& record) {
  CatalogModel model;
  model.record = &record;
  model.id = record.at("id");
  model.name = record.at("name");
  model.role = record.at("role");
  model.is_run = !record.value("not_yet_run", true);
  if (record.contains("parameters"))
    model.parameters = record.at("parameters").value("total", uint64_t{0});
  if (record.contains("shape")) model.context = record.at("shape").value("context", int64_t{0});
  if (record.contains("licence")) {
    model.licence = record.at("licence").at("name");
    model.commercial = record.at("licence").value("commercial", "");
  }
  if (record.contains("modalities"))
    model.inputs = record.at("modalities").at("in").get<std::vector<std::string>>();
  if (record.contains("languages")) {
    model.languages = record.at("languages").value("codes", std::vector<std::string>());
    model.claimed_languages = record.at("languages").value("count_claimed", int64_t{0});
  }
  return model;
}

// The smaller, the more it says about the model that is run.
int RankOf(const ordered_json& score) {
  const std::string from = score.at("from"), variant = score.value("variant", "");
  const int of_source = from == "publisher" ? 0 : from == "third party" ? 10 : 20;
  if (variant == "instruct") return of_source;
  return of_source + (variant == "base" ? 2 : variant == "reasoning" ? 1 : 5);
}

std::string MarkOf(const ordered_json& score) {
  const std::string from = score.at("from"), variant = score.value("variant", "");
  if (from == "brief") return "?";
  if (from == "third party") return "t";
  return variant == "base" ? "b" : variant == "reasoning" ? "r" : variant == "instruct" ? "" : "v";
}

// `wanted`, in any case, as a model has it.
template <class NamesOf>
std::string FindKnown(const char* what, const std::string& wanted, const NamesOf& names_of) {
  if (wanted.empty()) return wanted;
  std::set<std::string> known;
  for (const ordered_json& record : Records(kFile))
    for (const std::string& name : names_of(FromRecord(record))) known.insert(name);
  for (const std::string& name : known)
    if (UpperCase(name) == UpperCase(wanted)) return name;
  throw Error(Code::kUsage, "{}: no model has {}; known: {}", what, wanted, fmt::join(known, ", "));
}

bool HasLicence(const CatalogModel& model, const std::string& part) {
  return UpperCase(model.licence).find(UpperCase(part)) != std::string::npos;
}

void CheckLicence(const std::string& part) {
  std::set<std::string> known;
  for (const ordered_json& record : Records(kFile)) {
    const CatalogModel model = FromRecord(record);
    if (HasLicence(model, part)) return;
    if (!model.licence.empty()) known.insert(model.licence);
  }
  throw Error(Code::kUsage, "--licence: no model has {}; known: {}", part, fmt::join(known, ", "));
}

std::vector<std::string> BenchmarksOf(const CatalogModel& model) {
  std::vector<std::string> names;
  if (model.record->contains("scores"))
    for (const ordered_json& score : model.record->at("scores"))
      names.push_back(score.at("benchmark"));
  return names;
}

bool HasLanguage(const CatalogModel& model, const std::string& code) {
  return std::count(model.languages.begin(), model.languages.end(), code) > 0 ||
         (model.languages.empty() && model.claimed_languages >= kManyLanguages);
}

bool Matches(const CatalogModel& model, const CatalogFilter& filter) {
  if (!filter.has_all && model.role != "target") return false;
  if (!HasLicence(model, filter.licence)) return false;
  if (filter.is_commercial && model.commercial != "yes" && model.commercial != "conditions")
    return false;
  const bool is_bounded = filter.least_parameters > 0 || filter.most_parameters < UINT64_MAX;
  if (is_bounded && (model.parameters == 0 || model.parameters < filter.least_parameters ||
                     model.parameters > filter.most_parameters))
    return false;
  if (!filter.language.empty() && !HasLanguage(model, filter.language)) return false;
  return filter.input.empty() ||
         std::count(model.inputs.begin(), model.inputs.end(), filter.input) > 0;
}

}  // namespace

std::optional<ShownScore> BestScore(const CatalogModel& model, const std::string& benchmark) {
  const ordered_json* best = nullptr;
  if (!model.record->contains("scores")) return std::nullopt;
  for (const ordered_json& score : model.record->at("scores"))
    if (score.at("benchmark") == benchmark && (!best || RankOf(score) < RankOf(*best)))
      best = &score;
  if (!best) return std::nullopt;
  return ShownScore{best->at("value"), MarkOf(*best), DescribeSource(kFile, best->at("source")),
                    best->at("date")};
}

std::vector<CatalogModel> FindModels(CatalogFilter filter) {
  const auto languages = [](const CatalogModel& m) { return m.languages; };
  const auto inputs = [](const CatalogModel& m) { return m.inputs; };
  filter.language = FindKnown("--language", filter.language, languages);
  filter.input = FindKnown("--input", filter.input, inputs);
  CheckLicence(filter.licence);
  if (filter.least_parameters > filter.most_parameters)
    throw Error(Code::kUsage, "--min-params is above --max-params: no model can be within both");
  std::vector<CatalogModel> models;
  for (const ordered_json& record : Records(kFile))
    if (CatalogModel model = FromRecord(record); Matches(model, filter))
      models.push_back(std::move(model));
  const auto sort = [&](const auto& key) {
    std::stable_sort(models.begin(), models.end(),
                     [&](const auto& a, const auto& b) { return key(a) > key(b); });
  };
  if (filter.sort == "parameters") {
    sort([](const CatalogModel& m) { return m.parameters; });
  } else if (filter.sort == "context") {
    sort([](const CatalogModel& m) { return m.context; });
  } else if (filter.sort == "released") {
    sort([](const CatalogModel& m) { return m.record->value("released", ""); });
  } else if (!filter.sort.empty()) {
    const std::string benchmark = FindKnown("--sort", filter.sort, [](const CatalogModel& m) {
      std::vector<std::string> names = BenchmarksOf(m);
      names.insert(names.end(), {"parameters", "context", "released"});
      return names;
    });
    sort([&](const CatalogModel& m) {
      const auto score = BestScore(m, benchmark);
      return score ? score->value : -1;
    });
  }
  return models;
}

CatalogModel FindCatalogModel(const std::string& id) { return FromRecord(FindRecord(kFile, id)); }

}  // namespace slm::plan
