// How far a model's predictions move when one of its tensors is replaced: the mean KL divergence,
// in nats, from the model's own next-token distribution, over the ends of a few sequences. Layers
// before the tensor are not computed again.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/executor.h"

namespace slm::compress {

class Probe {
 public:
  // `sequences` are at most Executor::kMaxRows tokens each; the last `scored` positions of each
  // count. Keeps probabilities of every scored position in memory, [V] floats each.
  Probe(std::shared_ptr<const engine::Model> model, std::vector<std::vector<int32_t>> sequences,
        int64_t scored);

  // With other weights in the layer that the probe stands before: the first at first.
  double Measure(const model::LayerWeights& weights);
  // Steps over that layer, with the model's own weights.
  void Advance();
  int64_t layer() const { return layer_; }

  // With another embedding, another output matrix; nullptr: the model's own. Only before the first
  // layer.
  double MeasureEnds(const ops::PlainRows* embedding, const ops::Matrix* output);

  // Of another model with the same vocabulary.
  double MeasureModel(const std::shared_ptr<const engine::Model>& other);

 private:
  using Rows = std::vector<std::vector<float>>;  // of each sequence, [T, D]

  void Embed(const ops::PlainRows& table, Rows* rows);
  void RunLayer(int64_t layer, const model::LayerWeights& weights, Rows* rows);
  double Divergence(const ops::Matrix& output, const Rows& rows);
  // From the base at scored position `index`.
  double DivergenceAt(size_t index, std::span<const float> logits) const;

  std::shared_ptr<const engine::Model> model_;
  std::vector<std::vector<int32_t>> sequences_;
  int64_t scored_;
  engine::Session session_;
  engine::Executor executor_;
  int64_t layer_ = 0;
  Rows rows_;                             // before layer_
  std::vector<std::vector<float>> base_;  // of every scored position: probabilities, [V]
  std::vector<double> negative_entropy_;  // of each
};

}  // namespace slm::compress
