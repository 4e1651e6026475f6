#include "cli/write_merged.h"

#include <algorithm>
#include <map>

#include "format/gguf_writer.h"
#include "kernels/table.h"
#include "model/merged_loras.h"
#include "train/merge.h"

namespace slm::cli {

quant::Type CommonestType(const format::GgufFile& file) {
  std::map<quant::Type, int64_t> elements;
  for (const format::GgufTensor& tensor : file.tensors()) elements[tensor.type] += tensor.elements;
  return std::max_element(elements.begin(), elements.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

bool IsQuantized(quant::Type type) { return quant::Traits(type).block_size > 1; }

MergedFile WriteMerged(const format::GgufFile& base, std::span<const NamedLora> loras,
                       const compress::QuantizeOptions& options, const std::string& path,
                       ThreadPool* pool, Progress* progress) {
  std::vector<train::ScaledLora> scaled;
  for (const NamedLora& lora : loras) scaled.push_back({&lora.lora, lora.scale});
  const std::vector<format::TensorSource> sources = train::MergedTensors(base, scaled);
  MergedFile merged;
  const auto targets = compress::RecipeTargets(*options.recipe, sources, kernels::Kernels(),
                                               &merged.fallbacks, options.importance);
  format::GgufWriter writer(path, base.alignment());
  compress::SetQuantizedMetadata(base, options, &writer);
  if (!loras.empty()) {
    std::vector<std::string> inside = model::MergedLoras(base.metadata());
    for (const NamedLora& lora : loras) inside.push_back(model::DigestOf(lora.lora));
    writer.SetStrings(model::kMergedLorasKey, std::span<const std::string>(inside));
  }
  format::StreamTensors(sources, targets, &writer, pool, progress);
  writer.Finish();
  for (size_t i = 0; i < base.tensors().size(); ++i)
    merged.requantized += IsQuantized(base.tensors()[i].type) && IsQuantized(targets[i].type);
  return merged;
}

}  // namespace slm::cli
