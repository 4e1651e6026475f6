#include "train/layer_gradient.h"

#include <algorithm>

namespace slm::train {
namespace {

using model::Slot;
using Product = TrainedWeights::Product;
using Tensor = TrainedWeights::Tensor;

const float* OrNull(const model::Vector& v) { return v.empty() ? nullptr : v.data(); }

const model::Vector kNoBias;

// Of products that share an input; the result is in `to`, which may be nullptr.
void RunProducts(const LayerGradient::Pass& pass, const float* input, int64_t k,
                 std::span<const Product> products, std::span<const Tensor> tensors, float* to,
                 int64_t to_stride) {
  pass.weights->Run({pass.layer, input, k, products, tensors, to, to_stride}, pass.samples,
                    pass.precision, pass.gradient_sum);
}

void RunNorm(const LayerGradient::Pass& pass, const TrainedWeights::Norm& norm) {
  pass.weights->RunNorm(norm, pass.samples, pass.gradient_sum);
}

}  // namespace

LayerGradient::LayerGradient(const engine::Model& model, int64_t rows, int64_t feed_forward_rows,
                             int64_t longest)
    : model_(model),
      backend_(model.runtime()->backend()),
      gradients_(backend_->gradients()),
      attention_(model.hparams()),
      gate_(model.hparams()),
      out_stride_(engine::RowStride(model.hparams().d_model)) {
  const model::Hparams& h = model.hparams();
  input_ = {rows, h.d_model};
  dinput_ = {rows, engine::RowStride(std::max(h.d_model, h.heads * h.head_dim))};
  gated_ = {feed_forward_rows, h.ffn};
  dgated_ = {feed_forward_rows, engine::RowStride(h.ffn)};
  gate_up_ = {feed_forward_rows, gate_.stride};
  dout_ = {rows, out_stride_};
  qkv_ = {rows, attention_.stride};
  dqkv_ = {rows, attention_.stride};
  for (int window = 0; window <= (h.window > 0); ++window) {
    const auto size = static_cast<size_t>(longest * h.rope_dim / 2);
    cos_[window].resize(size);
    sin_[window].resize(size);
    model::Rope(h, model.weights(), window == 1, longest)
        .Fill(0, longest, cos_[window].data(), sin_[window].data());
  }
  for (int64_t t = 0; t < longest; ++t) q_scale_.push_back(model::QueryScale(h, t));
}

bool LayerGradient::NeedsOutputs(const TrainedWeights& weights) const {
  const model::LayerWeights& w = model_.weights().layers.front();
  return !w.post_attn_norm.empty() || !w.post_ffn_norm.empty() ||
         weights.ReadsOutput({Slot::kAttnOutput, Slot::kFfnDown});
}

uint64_t LayerGradient::BytesFor(int64_t rows, const TrainedWeights& weights) const {
  return input_.BytesFor(rows) + dinput_.BytesFor(rows) + gated_.BytesFor(rows) +
         dgated_.BytesFor(rows) + qkv_.BytesFor(rows) + dqkv_.BytesFor(rows) +
         (NeedsOutputs(weights) ? dout_.BytesFor(rows) : 0) +
         (weights.ReadsOutput({Slot::kFfnGate, Slot::kFfnUp}) ? gate_up_.BytesFor(rows) : 0);
}

float* LayerGradient::BehindNorm(const Pass& pass, Slot slot, const model::Vector& norm,
                                 const float* out, bool changes) {
  const model::Hparams& h = model_.hparams();
  const int64_t rows = RowsOf(pass.samples);
  if (!norm.empty()) {
    RunNorm(pass, {pass.layer, slot, out, pass.dx, out_stride_, out_stride_, h.d_model});
    gradients_->Norm(out, out_stride_, norm.data(), h.eps, pass.dx, out_stride_, rows, h.d_model,
                     false, dout_.data(), out_stride_);
    return dout_.data();
  }
  if (!changes) return pass.dx;
  dout_.Copy(pass.dx, out_stride_, rows, 0);
  return dout_.data();
}

void LayerGradient::Renew(const float* x, const model::Vector& w, int64_t rows) {
  const model::Hparams& h = model_.hparams();
  backend_->Norm(x, w.data(), h.eps, {rows, h.d_model, {}, input_.data()});
}

void LayerGradient::RunFeedForward(const Pass& pass, const float* middle,
                                   engine::FeedForwardTrace* trace, int64_t row) {
  const model::Hparams& h = model_.hparams();
  const model::LayerWeights& w = model_.weights().layers[static_cast<size_t>(pass.layer)];
  const int64_t rows = RowsOf(pass.samples);
  float* gate_up = trace->gate_up.data() + row * gate_.stride;
  float* gate = gate_up + gate_.gate;
  float* up = gate_up + gate_.up;
  const float* out = trace->out.empty() ? nullptr : trace->out.data() + row * out_stride_;
  const bool is_down_dora = pass.weights->ReadsOutput(pass.layer, {Slot::kFfnDown});
  float* dout = BehindNorm(pass, Slot::kFfnPostNorm, w.post_ffn_norm, out, is_down_dora);
  const Product down = {&w.down, &kNoBias, dout, out, out_stride_, out_stride_};
  const Tensor down_tensor = {Slot::kFfnDown, 1};
  backend_->Gate(model_.family().activation, gate, up, gate_.stride,
                 {rows, h.ffn, {}, gated_.data()});
  RunProducts(pass, gated_.data(), h.ffn, {&down, 1}, {&down_tensor, 1}, dgated_.data(),
              dgated_.stride());

  const bool is_read = pass.weights->ReadsOutput(pass.layer, {Slot::kFfnGate, Slot::kFfnUp});
  if (is_read) gate_up_.Copy(gate_up, gate_.stride, rows, 0);
  gradients_->Gate(model_.family().activation, dgated_.data(), dgated_.stride(), rows, h.ffn, gate,
                   up, gate_.stride);
  Renew(middle, w.ffn_norm, rows);
  const auto before = [&](int64_t at) { return is_read ? gate_up_.data() + at : nullptr; };
  const Product products[] = {
      {&w.gate, &kNoBias, gate, before(gate_.gate), gate_.stride, gate_.stride},
      {&w.up, &kNoBias, up, before(gate_.up), gate_.stride, gate_.stride}};
  const Tensor tensors[] = {{Slot::kFfnGate, 1}, {Slot::kFfnUp, 2}};
  RunProducts(pass, input_.data(), h.d_model, products, tensors, dinput_.data(), dinput_.stride());
  RunNorm(pass, {pass.layer, Slot::kFfnNorm, middle, dinput_.data(), h.d_model, dinput_.stride(),
                 h.d_model});
  gradients_->Norm(middle, h.d_model, w.ffn_norm.data(), h.eps, dinput_.data(), dinput_.stride(),
                   rows, h.d_model, true, pass.dx, out_stride_);
}

void LayerGradient::RunAttention(const Pass& pass, const float* x,
                                 const engine::AttentionTrace& trace) {
  const model::Hparams& h = model_.hparams();
  const model::LayerWeights& w = model_.weights().layers[static_cast<size_t>(pass.layer)];
  const int64_t rows = RowsOf(pass.samples);
  const int64_t q_dim = h.heads * h.head_dim;
  const bool is_dora = pass.weights->ReadsOutput(pass.layer, {Slot::kAttnOutput});
  float* dout = BehindNorm(pass, Slot::kAttnPostNorm, w.post_attn_norm, trace.out.data(), is_dora);
  const Product output = {&w.output, &kNoBias, dout, trace.out.data(), out_stride_, out_stride_};
  const Tensor output_tensor = {Slot::kAttnOutput, 1};
  RunProducts(pass, trace.attended.data(), q_dim, {&output, 1}, {&output_tensor, 1}, dinput_.data(),
              dinput_.stride());

  const bool has_window = h.IsWindowLayer(pass.layer);
  qkv_.Copy(trace.qkv.data(), attention_.stride, rows, 0);
  std::vector<ops::AttentionGradient> sequences;
  std::vector<ops::StoreArgs> stores;
  for (const SampleRows& sample : pass.samples) {
    const int64_t at = sample.first * attention_.stride;
    ops::StoreArgs store;
    store.rows = sample.count;
    store.q = qkv_.data() + at + attention_.q;
    store.k = qkv_.data() + at + attention_.k;
    store.v = qkv_.data() + at + attention_.v;
    store.stride = attention_.stride;
    store.heads = h.heads;
    store.q_norm = OrNull(w.q_norm);
    store.k_norm = OrNull(w.k_norm);
    store.eps = h.eps;
    store.rope = {cos_[has_window].data(), sin_[has_window].data(), h.rope_dim,
                  model_.family().rope_pairs == model::RopePairs::kInterleaved};
    store.q_scale = q_scale_.data();
    store.layout = {kernels::KvType::kF32, kernels::KvType::kF32, h.kv_heads, h.head_dim};
    backend_->Store(store);

    ops::AttentionGradient op;
    op.rows = sample.count;
    op.heads = h.heads;
    op.kv_heads = h.kv_heads;
    op.head_dim = h.head_dim;
    op.window = has_window ? h.window : 0;
    op.softcap = h.attn_softcap;
    op.q = store.q;
    op.k = store.k;
    op.v = store.v;
    op.stride = attention_.stride;
    op.dout = dinput_.data() + sample.first * dinput_.stride();
    op.dout_stride = dinput_.stride();
    op.dq = dqkv_.data() + at + attention_.q;
    op.dk = dqkv_.data() + at + attention_.k;
    op.dv = dqkv_.data() + at + attention_.v;
    sequences.push_back(op);
    store.q = op.dq;
    store.k = op.dk;
    stores.push_back(store);
  }
  gradients_->Attention(sequences);
  for (const ops::StoreArgs& store : stores) gradients_->Rotate(store);
  const auto run_norm = [&](const model::Vector& norm, Slot slot, int64_t at, int64_t heads) {
    if (!norm.empty())
      RunNorm(pass, {pass.layer, slot, trace.qkv.data() + at, dqkv_.data() + at, attention_.stride,
                     attention_.stride, h.head_dim, heads});
  };
  run_norm(w.q_norm, Slot::kAttnQNorm, attention_.q, h.heads);
  run_norm(w.k_norm, Slot::kAttnKNorm, attention_.k, h.kv_heads);
  for (size_t s = 0; s < stores.size(); ++s) {
    const float* raw = trace.qkv.data() + pass.samples[s].first * attention_.stride;
    gradients_->HeadNorms(stores[s], raw + attention_.q, raw + attention_.k);
  }

  Renew(x, w.attn_norm, rows);
  const auto product = [&](const ops::Matrix& matrix, const model::Vector& bias, int64_t at) {
    return Product{&matrix,           &bias,
                   dqkv_.data() + at, trace.qkv.data() + at,
                   attention_.stride, attention_.stride};
  };
  const Product products[] = {product(w.q, w.q_bias, attention_.q),
                              product(w.k, w.k_bias, attention_.k),
                              product(w.v, w.v_bias, attention_.v)};
  const Tensor tensors[] = {
      {Slot::kAttnQ, 1}, {Slot::kAttnK, 2}, {Slot::kAttnV, 3}, {Slot::kAttnQkv, 3}};
  const bool is_last = pass.layer == pass.weights->first_layer();
  RunProducts(pass, input_.data(), h.d_model, products, tensors, is_last ? nullptr : dinput_.data(),
              dinput_.stride());
  if (is_last) return;
  RunNorm(pass,
          {pass.layer, Slot::kAttnNorm, x, dinput_.data(), h.d_model, dinput_.stride(), h.d_model});
  gradients_->Norm(x, h.d_model, w.attn_norm.data(), h.eps, dinput_.data(), dinput_.stride(), rows,
                   h.d_model, true, pass.dx, out_stride_);
}

}  // namespace slm::train
