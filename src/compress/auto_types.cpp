#include "compress/auto_types.h"

#include <map>

#include "base/error.h"
#include "base/progress.h"

namespace slm::compress {
namespace {

// What the file has beside the tensors' data, roughly: names and padding stay.
uint64_t OverheadBytes(const format::GgufFile& file) {
  uint64_t data = 0;
  for (const format::GgufTensor& tensor : file.tensors()) data += tensor.bytes();
  return file.file_bytes() - data;
}

// Drops what an override rules out.
std::vector<TypeOption> Allowed(const TensorSensitivity& sensitivity,
                                std::span<const TypeOverride> overrides) {
  const std::string& name = sensitivity.tensor->name;
  for (const TypeOverride& override : overrides) {
    if (!std::regex_search(name, override.pattern)) continue;
    for (const TypeOption& option : sensitivity.options)
      if (option.type == override.type) return {option};
    throw Error(Code::kUsage, "tensor {}: rows of {} elements cannot have the type {}", name,
                sensitivity.tensor->dims[0], quant::Traits(override.type).name);
  }
  return sensitivity.options;
}

const Recipe* NearestRecipe(std::span<const TensorPlan> plan) {
  std::map<quant::Type, int64_t> elements;
  for (const TensorPlan& entry : plan) elements[entry.type] += entry.tensor->elements;
  const Recipe* nearest = nullptr;
  for (const Recipe& recipe : AllRecipes())
    if (!nearest || elements[recipe.base] > elements[nearest->base]) nearest = &recipe;
  return nearest;
}

}  // namespace

AutoTypes ChooseTypes(const format::GgufFile& file,
                      std::span<const TensorSensitivity> sensitivities,
                      std::span<const TypeOverride> overrides, const AutoLimit& limit) {
  SLM_CHECK(limit.file_bytes.has_value() != limit.kld.has_value());
  AutoTypes result;
  uint64_t fixed = OverheadBytes(file);
  std::map<const format::GgufTensor*, size_t> place;
  std::vector<std::vector<TypeOption>> options;
  for (const TensorSensitivity& sensitivity : sensitivities) {
    place[sensitivity.tensor] = options.size();
    options.push_back(Allowed(sensitivity, overrides));
  }
  for (const format::GgufTensor& tensor : file.tensors())
    if (!place.contains(&tensor)) fixed += tensor.bytes();
  const uint64_t budget =
      limit.file_bytes && *limit.file_bytes > fixed ? *limit.file_bytes - fixed : 0;
  const TypeSearchResult found =
      limit.kld ? ChooseWithinCost(options, *limit.kld) : ChooseWithinBytes(options, budget);
  if (limit.file_bytes && found.bytes > budget)
    throw Error(Code::kBadInput, "even the smallest types make a file of {}, more than {}",
                FormatBytes(found.bytes + fixed), FormatBytes(*limit.file_bytes));
  result.expected_kld = found.cost;
  for (const format::GgufTensor& tensor : file.tensors()) {
    const auto at = place.find(&tensor);
    const quant::Type type =
        at == place.end() ? tensor.type : options[at->second][found.chosen[at->second]].type;
    result.plan.push_back({&tensor, type, type});
  }
  result.nearest = NearestRecipe(result.plan);
  return result;
}

}  // namespace slm::compress
