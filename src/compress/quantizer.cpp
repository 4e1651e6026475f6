#include "compress/quantizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <tuple>

#include "base/error.h"
#include "base/thread_pool.h"
#include "compress/encode_tensor.h"
#include "compress/importance.h"
#include "format/gguf_writer.h"

namespace slm::compress {
namespace {

// Of the layout of quantized blocks; it has been 2 since 2023.
constexpr uint32_t kQuantizationVersion = 2;

bool IsFloat(quant::Type type) { return quant::Traits(type).block_size == 1; }

void CheckFinite(const std::string& name, const float* x, int64_t k, int64_t row) {
  for (int64_t i = 0; i < k; ++i)
    if (!std::isfinite(x[i]))
      throw Error(Code::kBadInput,
                  "tensor {}: {} in row {}, column {}: the weights are broken; --force takes them "
                  "as they are",
                  name, x[i], row, i);
}

std::span<const float> ImportanceOf(const Importance* importance, const std::string& name,
                                    int64_t k) {
  if (!importance) return {};
  const std::span<const float> of_columns = importance->Find(name);
  if (!of_columns.empty() && static_cast<int64_t>(of_columns.size()) != k)
    throw Error(Code::kBadInput,
                "tensor {} has rows of {} elements, the importance matrix {} columns for it: it "
                "belongs to another model",
                name, k, of_columns.size());
  return of_columns;
}

std::span<const float> ImportanceOf(const QuantizeOptions& options,
                                    const format::GgufTensor& tensor) {
  return ImportanceOf(options.importance, tensor.name, tensor.dims[0]);
}

}  // namespace

size_t TensorPlan::bytes() const {
  const quant::TypeTraits& traits = quant::Traits(type);
  return static_cast<size_t>(tensor->elements / traits.block_size) * traits.block_bytes;
}

std::vector<TensorPlan> PlanQuantization(const format::GgufFile& file,
                                         const QuantizeOptions& options) {
  ModelFacts facts = ReadModelFacts(file);
  facts.has_importance = options.importance != nullptr;
  CheckOverrides(file, options.overrides);
  std::vector<TensorPlan> plan;
  size_t known = 0;
  for (const format::GgufTensor& tensor : file.tensors()) {
    TensorPlan entry = {&tensor, tensor.type, tensor.type};
    if (IsQuantized(tensor.name, tensor.num_dims)) {
      const TypeChoice choice =
          ChooseType(*options.recipe, facts, options.overrides, tensor.name, tensor.dims[0]);
      entry.type = choice.type;
      entry.wanted = choice.wanted;
      if (!ImportanceOf(options, tensor).empty()) ++known;
    }
    plan.push_back(entry);
  }
  if (options.importance && known == 0)
    throw Error(Code::kBadInput, "{}: the importance matrix has none of the model's tensors",
                options.importance_file);
  return plan;
}

std::vector<const TensorPlan*> Requantized(std::span<const TensorPlan> plan) {
  std::vector<const TensorPlan*> list;
  for (const TensorPlan& entry : plan)
    if (entry.type != entry.tensor->type && !IsFloat(entry.tensor->type) && !IsFloat(entry.type))
      list.push_back(&entry);
  return list;
}

std::vector<const TensorPlan*> WithoutImportance(std::span<const TensorPlan> plan,
                                                 const QuantizeOptions& options) {
  std::vector<const TensorPlan*> list;
  for (const TensorPlan& entry : plan)
    if (options.importance && LayerOfTensor(entry.tensor->name) >= 0 &&
        entry.type != entry.tensor->type && !IsFloat(entry.type) &&
        ImportanceOf(options, *entry.tensor).empty())
      list.push_back(&entry);
  return list;
}

std::vector<Fallback> Fallbacks(std::span<const TensorPlan> plan) {
  std::vector<Fallback> list;
  for (const TensorPlan& entry : plan)
    if (entry.type != entry.wanted)
      list.push_back({entry.tensor->name, entry.tensor->dims[0], entry.wanted, entry.type});
  return list;
}

std::vector<std::string> Describe(std::span<const Fallback> fallbacks) {
  std::map<std::tuple<quant::Type, quant::Type, int64_t>, std::vector<std::string>> groups;
  for (const Fallback& f : fallbacks) groups[{f.wanted, f.type, f.row}].push_back(f.name);
  std::vector<std::string> lines;
  for (const auto& [key, names] : groups) {
    const auto& [wanted, type, row] = key;
    lines.push_back(fmt::format(
        "{}{}: rows of {} do not divide by {}, so {} instead of {}", names.front(),
        names.size() > 1 ? fmt::format(" and {} more", names.size() - 1) : "", row,
        quant::Traits(wanted).block_size, quant::Traits(type).name, quant::Traits(wanted).name));
  }
  return lines;
}

void SetQuantizedMetadata(const format::GgufFile& file, const QuantizeOptions& options,
                          format::GgufWriter* writer) {
  writer->CopyAll(file.metadata());
  for (const char* key : {"split.no", "split.count", "split.tensors.count"}) writer->Remove(key);
  writer->Set<uint32_t>("general.quantization_version", kQuantizationVersion);
  writer->Set<uint32_t>("general.file_type", options.recipe->file_type);
  if (options.importance) {
    if (!options.importance_file.empty())
      writer->SetString("quantize.imatrix.file", options.importance_file);
    const Importance::Origin& origin = options.importance->origin();
    if (!origin.datasets.empty())
      writer->SetString("quantize.imatrix.dataset", origin.datasets.front());
    writer->Set<uint32_t>("quantize.imatrix.entries_count",
                          static_cast<uint32_t>(options.importance->sums().size()));
    writer->Set<uint32_t>("quantize.imatrix.chunks_count", origin.chunks);
  }
}

void DeclareTensor(const TensorPlan& entry, format::GgufWriter* writer) {
  const format::GgufTensor& tensor = *entry.tensor;
  writer->Declare(tensor.name, entry.type,
                  {tensor.dims.data(), static_cast<size_t>(tensor.num_dims)});
}

format::TensorSource RowsOf(const format::GgufTensor& tensor, const QuantizeOptions& options) {
  format::TensorSource source = {tensor.name,
                                 {tensor.dims.begin(), tensor.dims.begin() + tensor.num_dims}};
  const bool allows_non_finite = options.allows_non_finite;
  source.read = [&tensor, allows_non_finite](int64_t first, int64_t count, float* out) {
    const int64_t row = tensor.dims[0];
    quant::Traits(tensor.type)
        .decode(tensor.data.data() + static_cast<size_t>(first) * tensor.row_bytes(), out,
                count * row);
    if (allows_non_finite) return;
    for (int64_t r = 0; r < count; ++r) CheckFinite(tensor.name, out + r * row, row, first + r);
  };
  return source;
}

void EncodePlain(const TensorPlan& entry, const QuantizeOptions& options,
                 const kernels::KernelTable& kernels, ThreadPool* pool,
                 const std::function<void(std::span<const uint8_t>)>& sink) {
  const format::GgufTensor& tensor = *entry.tensor;
  if (entry.type == tensor.type && !IsFloat(tensor.type)) return sink(tensor.data);
  // Floats also where the type stays: they are looked at on the way.
  EncodeTensor(RowsOf(tensor, options),
               TargetOf(entry.type, tensor.dims[0], ImportanceOf(options, tensor), kernels), pool,
               sink);
}

std::vector<format::TensorTarget> RecipeTargets(const Recipe& recipe,
                                                std::span<const format::TensorSource> sources,
                                                const kernels::KernelTable& kernels,
                                                std::vector<Fallback>* fallbacks,
                                                const Importance* importance) {
  ModelFacts facts = ReadModelFacts(sources);
  facts.has_importance = importance != nullptr;
  std::vector<format::TensorTarget> targets;
  bool is_known = false;
  for (const format::TensorSource& source : sources) {
    const int64_t k = source.dims[0];
    const std::span<const float> of_columns = ImportanceOf(importance, source.name, k);
    is_known |= !of_columns.empty();
    TypeChoice choice = {quant::Type::kF32, quant::Type::kF32};
    if (IsQuantized(source.name, static_cast<int>(source.dims.size())))
      choice = ChooseType(recipe, facts, {}, source.name, k);
    if (choice.type != choice.wanted)
      fallbacks->push_back({source.name, k, choice.wanted, choice.type});
    if (choice.type == quant::Type::kNF4 && source.read_nf4)
      targets.push_back(
          {choice.type, [&source](const float*, int64_t first, int64_t count, uint8_t* blocks) {
             source.read_nf4(first, count, blocks);
           }});
    else
      targets.push_back(TargetOf(choice.type, k, of_columns, kernels));
  }
  if (importance && !is_known)
    throw Error(Code::kBadInput, "the importance matrix has none of the model's tensors");
  return targets;
}

void QuantizeFile(const format::GgufFile& file, std::span<const TensorPlan> plan,
                  const QuantizeOptions& options, const std::string& path,
                  const kernels::KernelTable& kernels, ThreadPool* pool, Progress* progress) {
  if (file.Reads(path))
    throw Error(Code::kUsage, "{} is what is read; name another file for the result", path);
  std::vector<format::TensorSource> sources;
  std::vector<format::TensorTarget> targets;
  for (const TensorPlan& entry : plan) {
    const format::GgufTensor& tensor = *entry.tensor;
    format::TensorSource source = RowsOf(tensor, options);
    source.release = [&file, &tensor](int64_t end) {
      file.Release(tensor, tensor.data.first(static_cast<size_t>(end) * tensor.row_bytes()));
    };
    if (entry.type == tensor.type && !IsFloat(tensor.type)) {
      source.read = [](int64_t, int64_t, float*) {};
      targets.push_back(
          {entry.type, [&tensor](const float*, int64_t first, int64_t count, uint8_t* blocks) {
             const size_t row = tensor.row_bytes();
             std::memcpy(blocks, tensor.data.data() + static_cast<size_t>(first) * row,
                         static_cast<size_t>(count) * row);
           }});
    } else {
      targets.push_back(
          TargetOf(entry.type, tensor.dims[0], ImportanceOf(options, tensor), kernels));
    }
    sources.push_back(std::move(source));
  }
  format::GgufWriter writer(path, file.alignment());
  SetQuantizedMetadata(file, options, &writer);
  format::StreamTensors(sources, targets, &writer, pool, progress);
  writer.Finish();
}

}  // namespace slm::compress
