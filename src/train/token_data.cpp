#include "train/token_data.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "format/json_lines.h"

namespace slm::train {
namespace {

using nlohmann::ordered_json;

std::vector<int32_t> ReadIds(const ordered_json& object, const char* name, int64_t vocab,
                             const std::string& where) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_array())
    throw Error(Code::kBadInput, "{}: {}: expected a list of ids", where, name);
  const bool is_label = std::string_view(name) == "labels";
  std::vector<int32_t> ids;
  for (const ordered_json& value : *it) {
    const int64_t id = value.is_number_integer() ? value.get<int64_t>() : -1;
    if ((id < 0 || id >= vocab) && !(is_label && id == kIgnored))
      throw Error(Code::kBadInput, "{}: {}: {} is not in the vocabulary of {}", where, name,
                  value.dump(), vocab);
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

}  // namespace

std::vector<Sample> ReadTokenData(const std::string& path, int64_t vocab) {
  std::vector<Sample> samples;
  format::ForJsonObjects(path, [&](const ordered_json& object, size_t line) {
    const std::string where = path + ":" + std::to_string(line);
    Sample sample = {ReadIds(object, "ids", vocab, where), ReadIds(object, "labels", vocab, where),
                     line};
    if (sample.ids.size() != sample.labels.size())
      throw Error(Code::kBadInput, "{}: {} ids and {} labels", where, sample.ids.size(),
                  sample.labels.size());
    if (sample.trained() == 0) throw Error(Code::kBadInput, "{}: no label is trained", where);
    samples.push_back(std::move(sample));
  });
  return samples;
}

}  // namespace slm::train
