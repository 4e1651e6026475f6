// The backward pass of one layer, for all families: the forward pass of engine/executor.cpp, last
// operation first.
#pragma once

#include <span>
#include <vector>

#include "engine/layer_trace.h"
#include "engine/model.h"
#include "model/rope.h"
#include "train/trained_weights.h"

namespace slm::train {

class LayerGradient {
 public:
  struct Pass {
    int64_t layer;
    std::span<const SampleRows> samples;
    ops::Precision precision;
    TrainedWeights* weights;
    GradientSum* gradient_sum;
    // [T, D], rows stride() apart: the derivative by the half's output, which becomes that by its
    // input.
    float* dx;
  };

  // Batches of at most `rows` rows, `feed_forward_rows` of them at once; samples of at most
  // `longest`.
  LayerGradient(const engine::Model& model, int64_t rows, int64_t feed_forward_rows,
                int64_t longest);

  // The half that the forward pass has last, of any rows. `middle` is its input, [T, D] without
  // gaps. Of the trace rows from `row` on are read, and changed.
  void RunFeedForward(const Pass& pass, const float* middle, engine::FeedForwardTrace* trace,
                      int64_t row);
  // The other half, of whole samples. `x` is the layer's input, [T, D] without gaps. In the first
  // layer that has trained weights dx is left: nothing before it asks.
  void RunAttention(const Pass& pass, const float* x, const engine::AttentionTrace& trace);

  int64_t stride() const { return out_stride_; }
  // Memory of a batch of so many rows.
  uint64_t BytesFor(int64_t rows, const TrainedWeights& weights) const;
  // Whether traces need the outputs of both halves.
  bool NeedsOutputs(const TrainedWeights& weights) const;

 private:
  // pass.dx by the normed output `out` of a half, or pass.dx itself where there is no norm behind
  // it; and a copy of its own where `changes`.
  float* BehindNorm(const Pass& pass, model::Slot slot, const model::Vector& norm, const float* out,
                    bool changes);
  // input_ = norm(x) * w.
  void Renew(const float* x, const model::Vector& w, int64_t rows);

  const engine::Model& model_;
  ops::Backend* backend_;
  ops::Gradients* gradients_;
  const engine::AttentionRow attention_;
  const engine::GateRow gate_;
  const int64_t out_stride_;
  engine::RowBuffer input_;   // [T, D], without gaps: the input of a group of products
  engine::RowBuffer dinput_;  // [T, max(D, H Dh)]: its derivative
  engine::RowBuffer gated_;   // [rows, F]: of feed-forward rows at once
  engine::RowBuffer dgated_;
  engine::RowBuffer dout_;  // [T, D]: by the output of a half
  engine::RowBuffer qkv_;   // AttentionRow: as attention read them
  engine::RowBuffer dqkv_;
  engine::RowBuffer gate_up_;  // of DoRA: as they were
  // Of positions [0, longest): [longest, rope_dim / 2]; second: of window layers.
  std::vector<float> cos_[2], sin_[2], q_scale_;
};

}  // namespace slm::train
