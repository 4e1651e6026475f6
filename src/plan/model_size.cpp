#include "plan/model_size.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "format/gguf.h"
#include "model/tensor_table.h"

namespace slm::plan {
namespace {

using model::Slot;
using nlohmann::ordered_json;

// Which of the optional tensors a shape has.
struct Parts {
  bool has_output, has_qkv_bias, has_qk_norm, is_fused, has_post_norm, has_freqs, has_factors;
};

bool IsThere(Slot slot, const Parts& parts) {
  switch (slot) {
    case Slot::kOutput:
      return parts.has_output;
    case Slot::kRopeFreqs:
      return parts.has_freqs;
    case Slot::kRopeFactorsLong:
    case Slot::kRopeFactorsShort:
      return parts.has_factors;
    case Slot::kAttnQ:
    case Slot::kAttnK:
    case Slot::kAttnV:
    case Slot::kFfnGate:
      return !parts.is_fused;
    case Slot::kAttnQkv:
      return parts.is_fused;
    case Slot::kAttnQBias:
    case Slot::kAttnKBias:
    case Slot::kAttnVBias:
      return parts.has_qkv_bias;
    case Slot::kAttnQkvBias:
      return false;
    case Slot::kAttnQNorm:
    case Slot::kAttnKNorm:
      return parts.has_qk_norm;
    case Slot::kAttnPostNorm:
    case Slot::kFfnPostNorm:
      return parts.has_post_norm;
    default:
      return true;
  }
}

model::Hparams HparamsOf(const ordered_json& shape) {
  model::Hparams h;
  h.layers = shape.at("layers");
  h.d_model = shape.at("hidden");
  h.ffn = shape.at("ffn");
  h.heads = shape.at("heads");
  h.kv_heads = shape.at("kv_heads");
  h.head_dim = shape.at("head_dim");
  h.vocab = shape.at("vocab");
  h.context = shape.at("context");
  const double rotated = shape.value("partial_rotary", 1.0) * static_cast<double>(h.head_dim);
  h.rope_dim = static_cast<int64_t>(rotated);
  h.window = shape.value("sliding_window", int64_t{0});
  h.window_period = shape.value("global_every", int64_t{0});
  return h;
}

Parts PartsOf(const ordered_json& shape) {
  const std::string scaling =
      shape.contains("rope_scaling") ? shape.at("rope_scaling").value("type", "") : "";
  return {.has_output = !shape.at("tied_embeddings").get<bool>(),
          .has_qkv_bias = shape.value("attention_bias", false),
          .has_qk_norm = shape.value("qk_norm", false),
          .is_fused = shape.contains("fused_tensors"),
          .has_post_norm = shape.value("norms_per_layer", 2) == 4,
          .has_freqs = scaling == "llama3",
          .has_factors = scaling == "longrope"};
}

}  // namespace

uint64_t SizedTensor::bytes() const {
  const quant::TypeTraits& traits = quant::Traits(type);
  return static_cast<uint64_t>(rows) * static_cast<uint64_t>(k / traits.block_size) *
         traits.block_bytes;
}

uint64_t ModelSize::parameters() const {
  return std::accumulate(tensors.begin(), tensors.end(), uint64_t{0},
                         [](uint64_t n, const auto& t) {
                           return n + static_cast<uint64_t>(t.rows) * static_cast<uint64_t>(t.k);
                         });
}

uint64_t ModelSize::tensor_bytes() const {
  return std::accumulate(tensors.begin(), tensors.end(), uint64_t{0},
                         [](uint64_t n, const auto& t) { return n + t.bytes(); });
}

ModelSize SizeOf(const format::GgufFile& file) {
  const model::Family& family =
      model::FindFamily(file.metadata().GetString("general.architecture"), file.path());
  ModelSize size;
  size.name = file.path();
  size.architecture = family.arch;
  size.hparams = model::ReadHparams(file, family);
  size.file_bytes = file.file_bytes();
  size.is_file = true;
  for (const format::GgufTensor& tensor : file.tensors())
    size.tensors.push_back(
        {tensor.name, tensor.type, tensor.elements / tensor.dims[0], tensor.dims[0]});
  return size;
}

ModelSize SizeOf(const CatalogModel& model, const compress::Recipe& recipe) {
  if (!model.record->contains("shape") || !model.record->at("shape").contains("architecture"))
    throw Error(Code::kUnsupported,
                "{}: slm does not run its architecture, or its shape is not known", model.id);
  const ordered_json& shape = model.record->at("shape");
  ModelSize size;
  size.name = model.id;
  size.type = recipe.name;
  size.architecture = shape.at("architecture");
  size.hparams = HparamsOf(shape);
  const Parts parts = PartsOf(shape);
  const model::Hparams& h = size.hparams;
  for (int64_t layer = -1; layer < h.layers; ++layer)
    for (const model::TensorRow& row : model::TensorTable()) {
      if (row.is_layer != (layer >= 0) || !IsThere(row.slot, parts)) continue;
      // Where gate and up are one matrix it has the rows of both.
      const int64_t fused = row.out == model::Dim::kUp && parts.is_fused ? 2 : 1;
      size.tensors.push_back({model::TensorName(row, layer), quant::Type::kF32,
                              fused * model::SizeOf(row.out, h), model::SizeOf(row.in, h)});
    }
  std::vector<compress::TensorShape> shapes;
  for (const SizedTensor& t : size.tensors) shapes.push_back({t.name, t.rows, t.k});
  const compress::ModelFacts facts = compress::ReadModelFacts(shapes);
  for (SizedTensor& t : size.tensors)
    if (compress::IsQuantized(t.name, t.rows > 1 ? 2 : 1))
      t.type = compress::ChooseType(recipe, facts, {}, t.name, t.k).type;
  size.file_bytes = size.tensor_bytes();
  return size;
}

}  // namespace slm::plan
