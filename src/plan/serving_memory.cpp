#include "plan/serving_memory.h"

#include <algorithm>

#include "engine/executor.h"

namespace slm::plan {
namespace {

using engine::Executor;

// The program with what it links, and of each token of the vocabulary what the tokenizer and the
// file's own lists take: near what models of 0.5B and 1B took.
constexpr uint64_t kProgramBytes = 12'000'000, kBytesOfAToken = 200;

uint64_t BytesOf(const model::Vector& vector) { return vector.size() * sizeof(float); }

uint64_t BytesOf(const ops::Matrix& matrix) {
  return matrix.wants_panels() ? matrix.packed_bytes() : matrix.bytes();
}

// Without the embedding, of which a batch has its own rows.
uint64_t WeightBytes(const model::Weights& weights) {
  uint64_t bytes = BytesOf(weights.output) + BytesOf(weights.output_norm);
  for (const model::LayerWeights& w : weights.layers) {
    for (const ops::Matrix* matrix : {&w.q, &w.k, &w.v, &w.output, &w.gate, &w.up, &w.down})
      bytes += BytesOf(*matrix);
    for (const model::Vector* vector :
         {&w.attn_norm, &w.ffn_norm, &w.post_attn_norm, &w.post_ffn_norm, &w.q_norm, &w.k_norm,
          &w.q_bias, &w.k_bias, &w.v_bias})
      bytes += BytesOf(*vector);
  }
  return bytes;
}

// What keys and values are by the configuration alone: elements of `type`, a window where there is
// one.
uint64_t PlainKvBytes(const model::Hparams& h, const ServingLoad& load) {
  uint64_t positions = 0;
  for (int64_t layer = 0; layer < h.layers; ++layer)
    positions += static_cast<uint64_t>(h.IsWindowLayer(layer) ? std::min(load.context, h.window)
                                                              : load.context);
  const auto row = static_cast<uint64_t>(h.kv_heads * h.head_dim);
  const auto bytes = [&](kernels::KvType type) {
    return type == kernels::KvType::kF32   ? 4 * row
           : type == kernels::KvType::kF16 ? 2 * row
                                           : row / 32 * 34;
  };
  return positions * (bytes(load.k_type) + bytes(load.v_type));
}

uint64_t ActivationBytes(const std::shared_ptr<const engine::Model>& model,
                         const ServingLoad& load) {
  const int64_t logits = std::min(load.parallel, Executor::kLogitRows);
  return Executor(model).BytesFor(std::min(load.context, Executor::kPromptRows)) +
         static_cast<uint64_t>(logits * model->hparams().vocab) * sizeof(float);
}

}  // namespace

ServingMemory MemoryHere(const std::shared_ptr<const engine::Model>& model,
                         const ServingLoad& load) {
  ServingMemory memory;
  memory.weights = WeightBytes(model->weights());
  memory.kv = static_cast<uint64_t>(load.parallel) *
              engine::KvCache::BytesFor(model->hparams(), load.k_type, load.v_type, load.context);
  memory.activations = ActivationBytes(model, load);
  memory.program = kProgramBytes + kBytesOfAToken * static_cast<uint64_t>(model->hparams().vocab);
  return memory;
}

ServingMemory MemoryElsewhere(const std::shared_ptr<const engine::Model>& model,
                              const ServingLoad& load) {
  ServingMemory memory;
  for (const format::GgufTensor& tensor : model->file().tensors()) memory.weights += tensor.bytes();
  memory.kv = static_cast<uint64_t>(load.parallel) * PlainKvBytes(model->hparams(), load);
  memory.activations = ActivationBytes(model, load);
  return memory;
}

}  // namespace slm::plan
