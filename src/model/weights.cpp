#include "model/weights.h"

#include <algorithm>

#include "model/tensor_finder.h"

namespace slm::model {
namespace {

using format::GgufTensor;

class Binder {
 public:
  Binder(const format::GgufFile& file, const Hparams& hparams, const Family& family,
         ops::Backend* backend, bool is_view, TensorLookup replaced = {})
      : file_(file),
        hparams_(hparams),
        finder_(file, hparams, family, std::move(replaced)),
        backend_(backend),
        is_view_(is_view) {}

  const GgufTensor* Find(Slot slot, int64_t layer) { return finder_.Find(slot, layer); }
  void CheckAllFound() const { finder_.CheckAllFound(); }

  Vector ReadVector(Slot slot, int64_t layer, bool is_padded = true) {
    const GgufTensor* tensor = Find(slot, layer);
    if (!tensor) return {};
    Vector v(static_cast<size_t>(is_padded ? (tensor->elements + 15) / 16 * 16 : tensor->elements));
    quant::Traits(tensor->type).decode(tensor->data.data(), v.data(), tensor->elements);
    return v;
  }

  ops::PlainRows Rows(const GgufTensor& tensor, int64_t first, int64_t count) const {
    const size_t row_bytes = tensor.row_bytes();
    return {tensor.type, tensor.data.data() + static_cast<size_t>(first) * row_bytes, count,
            tensor.dims[0]};
  }

  ops::Matrix Whole(const GgufTensor& tensor) const { return Make(tensor, 0, tensor.dims[1]); }

  ops::Matrix Required(Slot slot, int64_t layer) {
    const GgufTensor* tensor = Find(slot, layer);
    if (!tensor)
      finder_.Fail(TensorName(TensorTable()[static_cast<size_t>(slot)], layer), "missing");
    return Whole(*tensor);
  }

  LayerWeights Layer(int64_t layer) {
    LayerWeights w;
    w.attn_norm = ReadVector(Slot::kAttnNorm, layer);
    w.ffn_norm = ReadVector(Slot::kFfnNorm, layer);
    w.post_attn_norm = ReadVector(Slot::kAttnPostNorm, layer);
    w.post_ffn_norm = ReadVector(Slot::kFfnPostNorm, layer);
    w.q_norm = ReadVector(Slot::kAttnQNorm, layer);
    w.k_norm = ReadVector(Slot::kAttnKNorm, layer);
    const int64_t q = SizeOf(Dim::kQ, hparams_), kv = SizeOf(Dim::kKv, hparams_);
    if (const GgufTensor* fused = Find(Slot::kAttnQkv, layer)) {
      w.q = Make(*fused, 0, q);
      w.k = Make(*fused, q, kv);
      w.v = Make(*fused, q + kv, kv);
      const Vector bias = ReadVector(Slot::kAttnQkvBias, layer);
      w.q_bias = Slice(bias, 0, q);
      w.k_bias = Slice(bias, q, kv);
      w.v_bias = Slice(bias, q + kv, kv);
    } else {
      w.q = Required(Slot::kAttnQ, layer);
      w.k = Required(Slot::kAttnK, layer);
      w.v = Required(Slot::kAttnV, layer);
      w.q_bias = ReadVector(Slot::kAttnQBias, layer);
      w.k_bias = ReadVector(Slot::kAttnKBias, layer);
      w.v_bias = ReadVector(Slot::kAttnVBias, layer);
    }
    w.output = Required(Slot::kAttnOutput, layer);
    if (finder_.IsUpFused(layer)) {
      const GgufTensor& fused = *Find(Slot::kFfnUp, layer);
      w.gate = Make(fused, 0, hparams_.ffn);
      w.up = Make(fused, hparams_.ffn, hparams_.ffn);
    } else {
      w.gate = Required(Slot::kFfnGate, layer);
      w.up = Required(Slot::kFfnUp, layer);
    }
    w.down = Required(Slot::kFfnDown, layer);
    return w;
  }

 private:
  static Vector Slice(const Vector& v, int64_t first, int64_t count) {
    if (v.empty()) return {};
    Vector part(v.begin() + first, v.begin() + first + count);
    part.resize(static_cast<size_t>((count + 15) / 16 * 16));
    return part;
  }

  ops::Matrix Make(const GgufTensor& tensor, int64_t first, int64_t count) const {
    const ops::PlainRows rows = Rows(tensor, first, count);
    if (is_view_) return backend_->ViewMatrix(rows);
    ops::Matrix matrix = backend_->MakeMatrix(rows);
    // Packed weights are copies: the pages they came from need not stay in memory.
    if (matrix.is_packed() && file_.Find(tensor.name) == &tensor)
      file_.Release(tensor, {rows.data, static_cast<size_t>(count) * rows.row_bytes()});
    return matrix;
  }

  const format::GgufFile& file_;
  const Hparams& hparams_;
  TensorFinder finder_;
  ops::Backend* backend_;
  bool is_view_;  // matrices are made without panels
};

}  // namespace

Weights BindWeights(const format::GgufFile& file, const Hparams& hparams, const Family& family,
                    ops::Backend* backend) {
  Binder binder(file, hparams, family, backend, true);
  Weights w;
  const GgufTensor& embedding = *binder.Find(Slot::kTokenEmbd, 0);
  w.token_embd = binder.Rows(embedding, 0, embedding.dims[1]);
  w.output_norm = binder.ReadVector(Slot::kOutputNorm, 0);
  const GgufTensor* output = binder.Find(Slot::kOutput, 0);
  w.output = binder.Whole(output ? *output : embedding);
  w.rope_freqs = binder.ReadVector(Slot::kRopeFreqs, 0, false);
  w.rope_factors_long = binder.ReadVector(Slot::kRopeFactorsLong, 0, false);
  w.rope_factors_short = binder.ReadVector(Slot::kRopeFactorsShort, 0, false);
  for (int64_t layer = 0; layer < hparams.layers; ++layer) w.layers.push_back(binder.Layer(layer));
  binder.CheckAllFound();
  return w;
}

std::vector<ops::Matrix*> MatricesOf(Weights* weights) {
  std::vector<ops::Matrix*> all;
  for (LayerWeights& w : weights->layers)
    all.insert(all.end(), {&w.q, &w.k, &w.v, &w.output, &w.gate, &w.up, &w.down});
  all.push_back(&weights->output);
  return all;
}

LayerWeights BindLayer(const format::GgufFile& file, const Hparams& hparams, const Family& family,
                       ops::Backend* backend, int64_t layer, const TensorLookup& replaced) {
  return Binder(file, hparams, family, backend, false, replaced).Layer(layer);
}

}  // namespace slm::model
