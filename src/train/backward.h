// Loss and gradient of a batch of samples: the engine's forward pass, layer by layer, then the
// backward pass. Layers keep what they computed, or are computed once more when their turn comes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/executor.h"
#include "train/layer_gradient.h"
#include "train/sample.h"

namespace slm::train {

struct BackwardOptions {
  // Of the base's products, but for some forward ones: engine::Executor::set_precision.
  ops::Precision precision = ops::Precision::kFloats;
  bool serves_gates_and_logits = false;
  bool keeps_activations = false;  // else layers are computed twice
  int64_t rows = 512;              // of a batch, at most
  int64_t longest = 512;           // rows of a sample, at most
  int64_t rows_at_once = 0;        // of what a batch computes row by row; 0: as memory likes it
};

// How large a batch is.
struct BatchSize {
  int64_t samples = 0, rows = 0, trained = 0;  // rows and trained tokens of all together
};

class Backward {
 public:
  // `weights`, of the model, must outlive the result.
  Backward(std::shared_ptr<const engine::Model> model, TrainedWeights* weights,
           const BackwardOptions& options);

  // Sums of the losses of each sample's trained tokens, -log p. The gradients of all of them times
  // `scale` go into the sum, as those of the step's samples from `first` on. Every sample has
  // rows(), all together at most options.rows. Samples' seeds are of their dropout.
  std::vector<double> Run(std::span<const Sample* const> samples, int64_t first,
                          std::span<const uint64_t> seeds, float scale, GradientSum* gradient_sum);
  // Memory that a batch takes, that of the weights' gradients and what operations use included.
  uint64_t BytesFor(const BatchSize& batch) const;
  // The losses alone, without dropout.
  std::vector<double> Evaluate(std::span<const Sample* const> samples);

 private:
  // Of the rows whose next token is trained.
  struct Target {
    int64_t row;
    int32_t label;
    size_t sample;
  };

  void Forward(std::span<const Sample* const> samples, int64_t first, bool keeps);
  // Which rows of the batch are computed next.
  void SeedRows(int64_t first, int64_t count);
  void RunLayer(int64_t layer, GradientSum* gradient_sum);
  // Without a sum the losses alone.
  std::vector<double> RunHead(std::span<const Sample* const> samples, float scale,
                              GradientSum* gradient_sum);

  std::shared_ptr<const engine::Model> model_;
  ops::Backend* backend_;
  const BackwardOptions options_;
  TrainedWeights* weights_;
  engine::Executor executor_;
  LayerGradient layer_gradient_;
  std::vector<engine::Session> sessions_;
  std::vector<engine::BatchItem> items_;
  std::vector<SampleRows> rows_;
  std::vector<uint64_t> row_seeds_;        // [T]: of dropout
  engine::RowBuffer x_;                    // [T, D]
  std::vector<engine::RowBuffer> inputs_;  // of layers, [T, D]
  // Of all layers; or of one, and of as many of its feed-forward rows as are computed at once.
  std::vector<engine::AttentionTrace> attention_;
  std::vector<engine::FeedForwardTrace> feed_forward_;
  engine::RowBuffer dx_;
  // Of some rows that are trained: [rows, D] of x_, without gaps as its norm is, their derivatives;
  // [rows, V].
  engine::RowBuffer chosen_, normed_, dchosen_, dnormed_, logits_;
};

}  // namespace slm::train
