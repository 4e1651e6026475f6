#include "train/new_lora.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/random.h"

namespace slm::train {
namespace {

using model::LoraMatrix;
using model::LoraTargets;
using model::Slot;
using model::TensorRow;

// "blk.0.attn_q.weight" is attn_q here, and q_proj in PEFT.
struct Name {
  std::string_view gguf, peft;
};
constexpr std::pair<Slot, Name> kNames[] = {
    {Slot::kAttnQ, {"attn_q", "q_proj"}},           {Slot::kAttnK, {"attn_k", "k_proj"}},
    {Slot::kAttnV, {"attn_v", "v_proj"}},           {Slot::kAttnQkv, {"attn_qkv", "qkv_proj"}},
    {Slot::kAttnOutput, {"attn_output", "o_proj"}}, {Slot::kFfnGate, {"ffn_gate", "gate_proj"}},
    {Slot::kFfnUp, {"ffn_up", "up_proj"}},          {Slot::kFfnDown, {"ffn_down", "down_proj"}},
};

std::vector<Slot> SlotsOf(const format::GgufFile& file) {
  std::vector<Slot> slots;
  for (const auto& [slot, name] : kNames)
    if (file.Find(TensorName(model::TensorTable()[static_cast<size_t>(slot)], 0)))
      slots.push_back(slot);
  return slots;
}

// gate_up_proj is PEFT's name of an ffn_up that holds both.
std::string_view PeftName(Slot slot, const Name& name, bool is_fused) {
  return slot == Slot::kFfnUp && is_fused ? "gate_up_proj" : name.peft;
}

std::set<Slot> Choose(const format::GgufFile& file, const std::vector<std::string>& targets) {
  const std::vector<Slot> there = SlotsOf(file);
  const bool is_fused = std::find(there.begin(), there.end(), Slot::kFfnGate) == there.end();
  std::set<Slot> chosen;
  for (const std::string& target : targets) {
    bool is_known = target == "all";
    std::string names;
    for (const auto& [slot, name] : kNames) {
      if (std::find(there.begin(), there.end(), slot) == there.end()) continue;
      const std::string_view peft = PeftName(slot, name, is_fused);
      const bool is_meant = target == "all" || target == name.gguf || target == peft;
      if (is_meant) chosen.insert(slot);
      is_known |= is_meant;
      names += (names.empty() ? "" : ", ") + std::string(peft);
    }
    if (!is_known)
      throw Error(Code::kUsage, "target \"{}\": the model has no such matrix; it has {}", target,
                  names);
  }
  return chosen;
}

// Of the tensor's rows.
std::vector<float> Norms(const format::GgufTensor& tensor, int64_t rows, int64_t k) {
  const quant::TypeTraits& traits = quant::Traits(tensor.type);
  const auto row_bytes = static_cast<size_t>(k / traits.block_size) * traits.block_bytes;
  std::vector<float> row(static_cast<size_t>(k)), norms;
  for (int64_t r = 0; r < rows; ++r) {
    traits.decode(tensor.data.data() + static_cast<size_t>(r) * row_bytes, row.data(), k);
    double sum = 0;
    for (const float w : row) sum += static_cast<double>(w) * static_cast<double>(w);
    if (!std::isfinite(sum))
      throw Error(Code::kBadInput, "tensor {}: row {} is not finite", tensor.name, r);
    norms.push_back(static_cast<float>(std::sqrt(sum)));
  }
  return norms;
}

}  // namespace

model::Lora NewLora(const engine::Model& model, const NewLoraOptions& options) {
  const format::GgufFile& file = model.file();
  const LoraTargets targets(file, model.hparams());
  const std::set<Slot> slots = Choose(file, options.targets);
  model::Lora lora = {"the new adapter", {}};
  const auto rank = static_cast<double>(options.rank);
  uint64_t counter = 0;
  for (int64_t layer = 0; layer < model.hparams().layers; ++layer)
    for (const Slot slot : slots) {
      LoraMatrix matrix = targets.Get(lora.path, slot, layer);
      if (options.rank < 1 || options.rank > std::min(matrix.in, matrix.out))
        throw Error(Code::kBadInput, "rank {}: expected 1 to {}, the size of tensor {}",
                    options.rank, std::min(matrix.in, matrix.out),
                    TensorName(model::TensorTable()[static_cast<size_t>(slot)], layer));
      matrix.rank = options.rank;
      matrix.scale = static_cast<float>(options.is_rank_stabilised ? options.alpha / std::sqrt(rank)
                                                                   : options.alpha / rank);
      const double bound = 1 / std::sqrt(static_cast<double>(matrix.in));
      matrix.a.resize(static_cast<size_t>(matrix.rank * matrix.in));
      for (float& a : matrix.a)
        a = static_cast<float>(bound * (2 * RandomUniform(options.seed, counter++) - 1));
      matrix.b.resize(static_cast<size_t>(matrix.out * matrix.rank));
      if (options.is_dora)
        matrix.magnitude =
            Norms(file.Get(TensorName(model::TensorTable()[static_cast<size_t>(slot)], layer)),
                  matrix.out, matrix.in);
      lora.matrices.push_back(std::move(matrix));
    }
  return lora;
}

}  // namespace slm::train
