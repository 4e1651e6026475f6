// The backward pass of one layer, for all families: the forward pass of engine/executor.cpp, last
// operation first.
#pragma once

#include <span>
#include <vector>

#include "engine/layer_trace.h"
#include "engine/model.h"
#include "model/rope.h"
#include "train/lora_gradient.h"

namespace slm::train {

class LayerGradient {
 public:
  // Batches of at most `rows` rows, samples of at most `longest`.
  LayerGradient(const engine::Model& model, int64_t rows, int64_t longest);

  // `x` is the layer's input, [T, D] without gaps, `trace` what it computed, which is changed.
  // `dx`, [T, D] with rows stride() apart, is the derivative by its output and becomes that by its
  // input, unless this is the first layer that has an adapter: nothing before it asks.
  void Run(int64_t layer, std::span<const SampleRows> samples, const float* x,
           engine::LayerTrace* trace, ops::Precision precision, LoraGradient* loras,
           const GradientSink& sink, float* dx);

  int64_t stride() const { return out_stride_; }
  // Whether the trace needs the outputs of both halves.
  bool NeedsOutputs(const LoraGradient& loras) const;

 private:
  struct Pass;
  void RunFeedForward(const Pass& pass);
  void RunAttention(const Pass& pass);
  // dx by the normed output of a half, or `dx` itself where there is no norm behind it; and a copy
  // of its own where `changes`.
  float* BehindNorm(const model::Vector& norm, const engine::RowBuffer& out, int64_t rows,
                    bool changes, float* dx);
  // input_ = norm(x) * w.
  void Renew(const float* x, const model::Vector& w, int64_t rows);

  const engine::Model& model_;
  ops::Backend* backend_;
  ops::Gradients* gradients_;
  const engine::AttentionRow attention_;
  const engine::GateRow gate_;
  const int64_t out_stride_;
  engine::RowBuffer input_;   // [T, max(D, F)], without gaps: the input of a group of products
  engine::RowBuffer dinput_;  // [T, max(D, H Dh, F)]: its derivative
  engine::RowBuffer dout_;    // [T, D]: by the output of a half
  engine::RowBuffer qkv_;     // AttentionRow: as attention read them
  engine::RowBuffer dqkv_;
  engine::RowBuffer gate_up_;  // of DoRA: as they were
  // Of positions [0, longest): [longest, rope_dim / 2]; second: of window layers.
  std::vector<float> cos_[2], sin_[2], q_scale_;
};

}  // namespace slm::train
