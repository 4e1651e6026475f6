#include "model/tensor_table.h"

#include "base/error.h"

namespace slm::model {
namespace {

using enum Slot;
using enum Presence;

const TensorRow kTable[] = {
    {kTokenEmbd, "token_embd.weight", Dim::kD, Dim::kVocab, kRequired, false},
    {kOutputNorm, "output_norm.weight", Dim::kD, Dim::kNone, kRequired, false},
    {kOutput, "output.weight", Dim::kD, Dim::kVocab, kOptional, false},
    {kRopeFreqs, "rope_freqs.weight", Dim::kRope, Dim::kNone, kOptional, false},
    {kRopeFactorsLong, "rope_factors_long.weight", Dim::kRope, Dim::kNone, kOptional, false},
    {kRopeFactorsShort, "rope_factors_short.weight", Dim::kRope, Dim::kNone, kOptional, false},
    {kAttnNorm, "attn_norm.weight", Dim::kD, Dim::kNone, kRequired, true},
    {kAttnQ, "attn_q.weight", Dim::kD, Dim::kQ, kOptional, true},
    {kAttnK, "attn_k.weight", Dim::kD, Dim::kKv, kOptional, true},
    {kAttnV, "attn_v.weight", Dim::kD, Dim::kKv, kOptional, true},
    {kAttnQkv, "attn_qkv.weight", Dim::kD, Dim::kQkv, kOptional, true},
    {kAttnQBias, "attn_q.bias", Dim::kQ, Dim::kNone, kOptional, true},
    {kAttnKBias, "attn_k.bias", Dim::kKv, Dim::kNone, kOptional, true},
    {kAttnVBias, "attn_v.bias", Dim::kKv, Dim::kNone, kOptional, true},
    {kAttnQkvBias, "attn_qkv.bias", Dim::kQkv, Dim::kNone, kOptional, true},
    {kAttnQNorm, "attn_q_norm.weight", Dim::kHead, Dim::kNone, kOptional, true},
    {kAttnKNorm, "attn_k_norm.weight", Dim::kHead, Dim::kNone, kOptional, true},
    {kAttnOutput, "attn_output.weight", Dim::kQ, Dim::kD, kRequired, true},
    {kAttnPostNorm, "post_attention_norm.weight", Dim::kD, Dim::kNone, kPost, true},
    {kFfnNorm, "ffn_norm.weight", Dim::kD, Dim::kNone, kRequired, true},
    {kFfnGate, "ffn_gate.weight", Dim::kD, Dim::kF, kOptional, true},
    {kFfnUp, "ffn_up.weight", Dim::kD, Dim::kUp, kRequired, true},
    {kFfnDown, "ffn_down.weight", Dim::kF, Dim::kD, kRequired, true},
    {kFfnPostNorm, "post_ffw_norm.weight", Dim::kD, Dim::kNone, kPost, true},
};
static_assert(std::size(kTable) == static_cast<size_t>(kCount));

}  // namespace

std::span<const TensorRow> TensorTable() { return kTable; }

std::string TensorName(const TensorRow& row, int64_t layer) {
  return row.is_layer ? fmt::format("blk.{}.{}", layer, row.name) : row.name;
}

int64_t SizeOf(Dim dim, const Hparams& h) {
  switch (dim) {
    case Dim::kNone:
      return 1;
    case Dim::kD:
      return h.d_model;
    case Dim::kF:
    case Dim::kUp:
      return h.ffn;
    case Dim::kQ:
      return h.heads * h.head_dim;
    case Dim::kKv:
      return h.kv_heads * h.head_dim;
    case Dim::kQkv:
      return (h.heads + 2 * h.kv_heads) * h.head_dim;
    case Dim::kHead:
      return h.head_dim;
    case Dim::kVocab:
      return h.vocab;
    case Dim::kRope:
      return h.rope_dim / 2;
  }
  SLM_CHECK(false);
}

}  // namespace slm::model
