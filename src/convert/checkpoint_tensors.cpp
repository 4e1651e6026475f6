#include "convert/checkpoint_tensors.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/error.h"
#include "convert/bnb_weight.h"
#include "convert/rope_from_config.h"
#include "convert/tensor_rows.h"
#include "format/byte_reader.h"
#include "model/family.h"
#include "quant/nf4_panel.h"

namespace slm::convert {
namespace {

using format::Quoted;
using format::SafetensorsTensor;
using model::Slot;

// Parts of multimodal checkpoints that are not the text model: by what their names begin with.
constexpr std::string_view kOtherParts[] = {
    "vision_tower.",          "model.vision_tower.",
    "multi_modal_projector.", "model.multi_modal_projector.",
    "vision_encoder.",        "vision_language_adapter.",
    "patch_merger.",          "pre_mm_projector_norm."};

// Buffers that older transformers saved, and what FP8 runtimes keep of activations and caches.
constexpr std::string_view kIgnoredEndings[] = {".rotary_emb.inv_freq",
                                                ".attention.masked_bias",
                                                ".attention.bias",
                                                ".activation_scale",
                                                ".input_scale",
                                                ".qscale_act",
                                                ".k_scale",
                                                ".v_scale"};

constexpr std::string_view kScaleEndings[] = {".weight_scale_inv", ".weight_scale",
                                              ".qscale_weight"};

// What only quantized formats have that are refused, whatever config.json says.
constexpr std::pair<std::string_view, const char*> kQuantizedEndings[] = {
    {".qweight", "GPTQ or AWQ"},
    {".qzeros", "GPTQ or AWQ"},
    {".weight_packed", "compressed-tensors (pack-quantized)"},
    {".quant_state.bitsandbytes__fp4", "bitsandbytes (FP4)"},
    {".SCB", "bitsandbytes (LLM.int8)"}};

bool EndsWithOneOf(std::string_view name, std::span<const std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

std::string WithoutEnding(std::string_view name, std::string_view ending) {
  return std::string(name.substr(0, name.size() - ending.size()));
}

class Lister {
 public:
  Lister(const Checkpoint& checkpoint, const model::Hparams& hparams, bool allows_non_finite)
      : checkpoint_(checkpoint),
        hparams_(hparams),
        allows_non_finite_(allows_non_finite),
        family_(model::FindFamily(checkpoint.family->arch, checkpoint.folder)) {}

  CheckpointTensors List() {
    IndexNames();
    const auto rope = MakeRopeTensors(checkpoint_, hparams_);
    for (const model::TensorRow& row : model::TensorTable())
      if (!row.is_layer) AddRow(row, 0);
    for (const RopeTensor& tensor : rope) AddComputed(tensor);
    for (int64_t layer = 0; layer < hparams_.layers; ++layer)
      for (const model::TensorRow& row : model::TensorTable())
        if (row.is_layer) AddRow(row, layer);
    CheckAllUsed();
    return std::move(result_);
  }

 private:
  [[noreturn]] void Fail(const std::string& name, const std::string& problem,
                         Code code = Code::kBadInput) const {
    throw Error(code, "{}: tensor {}: {}", checkpoint_.folder, Quoted(name), problem);
  }

  void IndexNames() {
    size_t left_out = 0;
    for (const SafetensorsTensor& tensor : checkpoint_.tensors.tensors()) {
      for (const auto& [ending, method] : kQuantizedEndings) {
        if (tensor.name.ends_with(ending))
          Fail(tensor.name,
               fmt::format("a checkpoint quantized with {} is not converted; take the one it was "
                           "made from",
                           method),
               Code::kUnsupported);
      }
      const bool is_other =
          std::any_of(std::begin(kOtherParts), std::end(kOtherParts),
                      [&](std::string_view prefix) { return tensor.name.starts_with(prefix); });
      if (is_other) ++left_out;
      if (is_other || EndsWithOneOf(tensor.name, kIgnoredEndings)) continue;
      if (!by_name_.emplace(TextModelName(tensor.name), &tensor).second)
        Fail(tensor.name, "is there twice, under two prefixes");
    }
    if (left_out > 0)
      result_.notices.push_back(fmt::format(
          "only the text model is converted; {} tensors of other parts are left out", left_out));
  }

  bool IsRequired(const model::TensorRow& row) const {
    const HfFamily& family = *checkpoint_.family;
    switch (row.slot) {
      case Slot::kOutput:
        return !checkpoint_.config.FindBool("tie_word_embeddings").value_or(false);
      case Slot::kAttnQkv:
        return family.fuses;
      case Slot::kAttnQ:
      case Slot::kAttnK:
      case Slot::kAttnV:
      case Slot::kFfnGate:
        return !family.fuses;
      default:
        break;
    }
    if (row.presence == model::Presence::kRequired) return true;
    if (row.presence == model::Presence::kPost)
      return family_.norm_place == model::NormPlace::kPreAndPost;
    return std::find(family.also_required.begin(), family.also_required.end(), row.slot) !=
           family.also_required.end();
  }

  // Biases, which a family's config may switch on. Elsewhere a tensor that is not required is not
  // the family's, and CheckAllUsed says so.
  bool IsAllowed(const model::TensorRow& row) const {
    const bool is_bias = row.slot == Slot::kAttnQBias || row.slot == Slot::kAttnKBias ||
                         row.slot == Slot::kAttnVBias;
    return is_bias && !checkpoint_.family->fuses;
  }

  void AddRow(const model::TensorRow& row, int64_t layer) {
    const auto name = HfTensorName(*checkpoint_.family, checkpoint_.form, row.slot, layer);
    if (!name) return;
    const auto at = by_name_.find(*name);
    const bool is_required = IsRequired(row);
    if (at == by_name_.end()) {
      // In one layer means in all.
      if (is_required || optional_.contains(row.slot)) FailMissing(row, *name);
      if (layer == 0 && row.is_layer) absent_.insert(row.slot);
      return;
    }
    if (row.slot == Slot::kOutput && !is_required) {  // a copy of the embedding
      used_.insert(at->second);
      return;
    }
    if (!is_required) {
      if (!IsAllowed(row)) return;
      if (absent_.contains(row.slot)) Fail(*name, "missing in the layers before this one");
      optional_.insert(row.slot);
    }
    Add(row, layer, *at->second);
  }

  [[noreturn]] void FailMissing(const model::TensorRow& row, const std::string& name) const {
    if (row.slot == Slot::kOutput)
      Fail(name, "missing, and config.json does not say that tie_word_embeddings is true");
    Fail(name, "missing");
  }

  void Add(const model::TensorRow& row, int64_t layer, const SafetensorsTensor& tensor) {
    used_.insert(&tensor);
    const bool is_vector = row.out == model::Dim::kNone;
    const int64_t in = SizeOf(row.in, hparams_);
    int64_t out = SizeOf(row.out, hparams_);
    if (row.out == model::Dim::kUp && checkpoint_.family->fuses) out *= 2;
    const std::vector<int64_t> shape = is_vector ? std::vector{in} : std::vector{out, in};
    const std::shared_ptr<const BnbWeight> bnb = FindBnb(tensor);
    const std::vector<int64_t>& got = bnb ? bnb->shape : tensor.shape;
    if (got != shape)
      Fail(tensor.name, fmt::format("expected shape {} as config.json has it, got {}",
                                    ShapeText(shape), ShapeText(got)));
    if (!bnb && !tensor.type->decode)
      Fail(tensor.name,
           fmt::format("expected elements of type F32, F16, BF16 or F8_E4M3, got {}",
                       tensor.type->name),
           Code::kUnsupported);

    RowTransform transform = {.scales = FindScales(tensor)};
    const bool is_norm = std::string_view(row.name).ends_with("norm.weight");
    transform.adds_one = is_norm && checkpoint_.family->adds_one_to_norms;
    const bool is_qk = row.slot == Slot::kAttnQ || row.slot == Slot::kAttnK ||
                       row.slot == Slot::kAttnQBias || row.slot == Slot::kAttnKBias;
    const bool permutes =
        is_qk && checkpoint_.family->permutes_qk && checkpoint_.form == Form::kTransformers;
    // A bias is one row in GGUF; what permutes are its elements.
    if (permutes) transform.permuted_head_dim = hparams_.head_dim;
    if (bnb) return AddBnb(TensorName(row, layer), bnb, transform.permuted_head_dim);
    AddSource(TensorName(row, layer), is_vector ? std::vector{in} : std::vector{in, out}, tensor,
              std::move(transform));
  }

  void AddSource(std::string name, std::vector<int64_t> dims, const SafetensorsTensor& tensor,
                 RowTransform transform) {
    const auto shared = std::make_shared<const RowTransform>(std::move(transform));
    const bool is_permuted_vector = dims.size() == 1 && shared->permuted_head_dim > 0;
    const int64_t row = is_permuted_vector ? 1 : dims[0];
    const int64_t repeat = is_permuted_vector ? dims[0] : 1;
    format::TensorSource source = {.name = std::move(name), .dims = std::move(dims)};
    const bool checks = !allows_non_finite_;
    const std::string* folder = &checkpoint_.folder;
    source.read = [&tensor, shared, row, repeat, checks, folder](int64_t first, int64_t count,
                                                                 float* out) {
      ReadRows(tensor, *shared, row, first * repeat, count * repeat, out);
      if (checks) CheckFinite(*folder, tensor.name, out, count * repeat * row);
    };
    // Rows of a permuted tensor are read out of order inside a head.
    const int64_t unit = std::max<int64_t>(1, shared->permuted_head_dim);
    const auto row_bytes = static_cast<size_t>(row * tensor.type->bits / 8);
    const format::Safetensors* files = &checkpoint_.tensors;
    source.release = [&tensor, unit, row_bytes, repeat, files](int64_t end) {
      const auto done = static_cast<size_t>(end * repeat / unit * unit) * row_bytes;
      files->Release(tensor, tensor.data.first(done));
    };
    result_.sources.push_back(std::move(source));
  }

  static void CheckFinite(const std::string& folder, const std::string& name, const float* values,
                          int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      if (!std::isfinite(values[i]))
        throw Error(Code::kBadInput,
                    "{}: tensor {}: expected finite weights, got {}; --force converts it anyway",
                    folder, Quoted(name), values[i]);
    }
  }

  // nullptr for a tensor that is not of bitsandbytes.
  std::shared_ptr<const BnbWeight> FindBnb(const SafetensorsTensor& tensor) {
    const std::string name = TextModelName(tensor.name);
    const auto find = [&](std::string_view part) -> const SafetensorsTensor* {
      const auto at = by_name_.find(name + std::string(part));
      if (at == by_name_.end()) return nullptr;
      used_.insert(at->second);
      return at->second;
    };
    if (!find(kBnbState)) return nullptr;
    auto weight = std::make_shared<BnbWeight>(ReadBnbWeight(checkpoint_.folder, tensor, find));
    if (weight->is_rounded && std::exchange(says_rounded_, true) == false)
      result_.notices.push_back(
          "the absmaxes of the NF4 weights are rounded to 8 bits, as with double quantization");
    return weight;
  }

  void AddBnb(std::string name, const std::shared_ptr<const BnbWeight>& weight, int64_t head_dim) {
    const int64_t k = weight->shape[1];
    format::TensorSource source = {.name = std::move(name), .dims = {k, weight->shape[0]}};
    const auto row_of = [=](int64_t row) {
      return head_dim == 0 ? row : HfRowOfGgufRow(row, head_dim);
    };
    source.read = [=, checks = !allows_non_finite_, folder = &checkpoint_.folder](
                      int64_t first, int64_t count, float* out) {
      for (int64_t i = 0; i < count; ++i) weight->ReadRow(row_of(first + i), out + i * k);
      if (checks) CheckFinite(*folder, weight->codes->name, out, count * k);
    };
    if (weight->has_row_blocks())
      source.read_nf4 = [=](int64_t first, int64_t count, uint8_t* blocks) {
        const auto row_bytes = static_cast<size_t>(k / quant::kNf4Block) * quant::kBlockNf4Bytes;
        for (int64_t i = 0; i < count; ++i, blocks += row_bytes)
          weight->ReadRowBlocks(row_of(first + i), blocks);
      };
    result_.sources.push_back(std::move(source));
  }

  ScaleGrid FindScales(const SafetensorsTensor& tensor) {
    const bool is_fp8 = std::string_view(tensor.type->name) == "F8_E4M3";
    if (!tensor.name.ends_with(".weight")) return {};
    const std::string base = WithoutEnding(TextModelName(tensor.name), ".weight");
    for (const std::string_view ending : kScaleEndings) {
      const auto at = by_name_.find(base + std::string(ending));
      if (at == by_name_.end()) continue;
      if (!is_fp8)
        Fail(tensor.name,
             fmt::format("expected F8_E4M3 beside its scales, got {}", tensor.type->name));
      used_.insert(at->second);
      return ReadScales(checkpoint_.folder, *at->second, tensor, BlockSize());
    }
    if (is_fp8) Fail(tensor.name, "the scales of its F8_E4M3 weights are missing");
    return {};
  }

  std::vector<int64_t> BlockSize() const {
    const auto quantization = checkpoint_.config.FindObject("quantization_config");
    if (!quantization) return {};
    auto sizes = quantization->FindFloats("weight_block_size");
    // compressed-tensors has one for each of its groups.
    const auto groups = quantization->FindObject("config_groups");
    const nlohmann::json listed = groups ? groups->json() : nlohmann::json::object();
    for (const auto& [name, group] : listed.items()) {
      const auto entry = groups->FindObject(name);
      const auto weights = entry ? entry->FindObject("weights") : std::nullopt;
      const auto block = weights ? weights->FindFloats("block_structure") : std::nullopt;
      if (block && sizes && *block != *sizes) groups->Fail(name, "expected one block_structure");
      if (block) sizes = block;
    }
    if (!sizes) return {};
    std::vector<int64_t> block;
    for (const double size : *sizes) {
      if (size < 1 || size > 1 << 24 || size != std::floor(size))
        quantization->Fail("weight_block_size", "expected two positive integers");
      block.push_back(static_cast<int64_t>(size));
    }
    return block;
  }

  void AddComputed(const RopeTensor& tensor) {
    const model::TensorRow& row = model::TensorTable()[static_cast<size_t>(tensor.slot)];
    format::TensorSource source = {.name = row.name,
                                   .dims = {static_cast<int64_t>(tensor.values.size())}};
    source.read = [values = tensor.values](int64_t, int64_t, float* out) {
      std::copy(values.begin(), values.end(), out);
    };
    result_.sources.push_back(std::move(source));
  }

  // A tensor without a place in the model would change its answers.
  void CheckAllUsed() const {
    for (const auto& [name, tensor] : by_name_) {
      if (!used_.contains(tensor))
        Fail(tensor->name, fmt::format("not part of a model of {} layers of {}", hparams_.layers,
                                       checkpoint_.family->arch));
    }
  }

  const Checkpoint& checkpoint_;
  const model::Hparams& hparams_;
  const bool allows_non_finite_;
  const model::Family& family_;
  std::map<std::string, const SafetensorsTensor*> by_name_;  // as the text model names them
  std::set<const SafetensorsTensor*> used_;
  std::set<Slot> optional_, absent_;  // of the layers before
  bool says_rounded_ = false;
  CheckpointTensors result_;
};

}  // namespace

CheckpointTensors ListTensors(const Checkpoint& checkpoint, const model::Hparams& hparams,
                              bool allows_non_finite) {
  return Lister(checkpoint, hparams, allows_non_finite).List();
}

}  // namespace slm::convert
