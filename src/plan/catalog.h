// The models of the catalog: what they are, what one may do with them, what is published of them.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace slm::plan {

// A published figure as a table shows it.
struct ShownScore {
  double value = 0;
  std::string mark;  // "": publisher's, of the instruct model
  std::string source, date;
};

inline constexpr const char* kMarks =
    "b: of the base model, r: of a reasoning model, v: of another variant, t: by a third party, ?: "
    "the project's brief alone";

struct CatalogModel {
  std::string id, name;
  std::string role;     // "target", "successor" or "reference"
  bool is_run = false;  // by slm
  uint64_t parameters =
      0;                // stored ones, a tied table once; without encoders of images; 0: not known
  int64_t context = 0;  // 0: not known
  std::string licence;
  std::string commercial;                          // "yes", "no", "conditions"; empty: not known
  std::vector<std::string> inputs, languages;      // languages by their codes
  int64_t claimed_languages = 0;                   // where the publisher gives a number and no list
  const nlohmann::ordered_json* record = nullptr;  // all of it
};

// Nothing where no figure of that name is published.
std::optional<ShownScore> BestScore(const CatalogModel& model, const std::string& benchmark);

struct CatalogFilter {
  bool has_all = false;        // successors and references, too
  std::string licence = {};    // a part of its name, in any case
  bool is_commercial = false;  // allowed, with conditions or without
  uint64_t least_parameters = 0, most_parameters = UINT64_MAX;
  std::string language = {}, input = {};  // "de"; "image"
  std::string sort = {};  // a benchmark, highest first; "parameters", "context", "released"
};

// Throws kUsage, with the known ones, for a language, an input, a licence or a benchmark that no
// model has.
std::vector<CatalogModel> FindModels(CatalogFilter filter);

// The one with this id. Throws kUsage with the nearest.
CatalogModel FindCatalogModel(const std::string& id);

}  // namespace slm::plan
