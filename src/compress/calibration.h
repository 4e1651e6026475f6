// Calibration: token sequences through a model layer by layer, with the weights of a layer replaced
// once they are quantized, so that each layer is measured on what it will really get. Beside the
// model it keeps the residual rows of all sequences in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "compress/gram.h"
#include "engine/executor.h"

namespace slm::compress {

// The input that a group of tensors is multiplied with.
struct GroupGram {
  std::vector<model::Slot> readers;
  Gram gram;
};
using LayerGrams = std::vector<GroupGram>;

class Calibration {
 public:
  // `sequences` are at most Executor::kMaxRows tokens each.
  Calibration(std::shared_ptr<const engine::Model> model,
              std::vector<std::vector<int32_t>> sequences);

  int64_t tokens() const { return tokens_; }

  // Starts over from another embedding, that of the result.
  void Embed(const ops::PlainRows& table);

  // What the layer's products get, with the weights given. Leaves the rows where they are. Throws
  // kBadInput where that is not finite, and so do the others.
  LayerGrams Measure(int64_t layer, const model::LayerWeights& weights);
  // Moves all sequences through the layer.
  void Advance(int64_t layer, const model::LayerWeights& weights);
  // After the last layer: what the output matrix gets.
  Gram MeasureOutput();

 private:
  static void CheckFinite(const LayerGrams& grams, int64_t layer);
  void Run(int64_t layer, const model::LayerWeights& weights, bool keeps_rows);

  std::shared_ptr<const engine::Model> model_;
  std::vector<std::vector<int32_t>> sequences_;
  int64_t tokens_ = 0;
  engine::Session session_;
  engine::Executor executor_;
  std::vector<std::vector<float>> rows_;  // of each sequence, [T, D]
};

}  // namespace slm::compress
