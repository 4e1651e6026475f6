#include "compress/auto_types.h"

#include <map>

#include "base/error.h"
#include "base/progress.h"

namespace slm::compress {
namespace {

uint64_t Padded(uint64_t bytes, uint32_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// The most that the new file has beside the tensors' data.
uint64_t OverheadBytes(const format::GgufFile& file, uint64_t added) {
  uint64_t data = 0;
  for (const format::GgufTensor& tensor : file.tensors()) data += tensor.bytes();
  return Padded(file.file_bytes() - data + added, file.alignment());
}

// The type that an override gives the tensor, if one does.
std::optional<quant::Type> Pinned(const std::string& name,
                                  std::span<const TypeOverride> overrides) {
  for (const TypeOverride& override : overrides)
    if (std::regex_search(name, override.pattern)) return override.type;
  return std::nullopt;
}

// Drops what an override rules out.
std::vector<TypeOption> Allowed(const TensorSensitivity& sensitivity,
                                std::span<const TypeOverride> overrides) {
  const format::GgufTensor& tensor = *sensitivity.tensor;
  const std::optional<quant::Type> pinned = Pinned(tensor.name, overrides);
  if (!pinned) return sensitivity.options;
  const quant::Type type = FallbackType(*pinned, tensor.dims[0]);
  for (const TypeOption& option : sensitivity.options)
    if (option.type == type) return {option};
  return {{type, TensorPlan{&tensor, type, type}.bytes(), 0}};  // a float type: as good as its own
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
  CheckOverrides(file, overrides);
  AutoTypes result;
  const uint32_t alignment = file.alignment();
  uint64_t fixed = OverheadBytes(file, limit.metadata_bytes);
  std::map<const format::GgufTensor*, size_t> place;
  std::vector<std::vector<TypeOption>> options;
  for (const TensorSensitivity& sensitivity : sensitivities) {
    place[sensitivity.tensor] = options.size();
    options.push_back(Allowed(sensitivity, overrides));
    for (TypeOption& option : options.back()) option.bytes = Padded(option.bytes, alignment);
  }
  for (const format::GgufTensor& tensor : file.tensors())
    if (!place.contains(&tensor)) fixed += Padded(tensor.bytes(), alignment);
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
    const std::optional<quant::Type> pinned =
        at == place.end() ? std::nullopt : Pinned(tensor.name, overrides);
    result.plan.push_back({&tensor, type, pinned.value_or(type)});
  }
  result.nearest = NearestRecipe(result.plan);
  return result;
}

}  // namespace slm::compress
