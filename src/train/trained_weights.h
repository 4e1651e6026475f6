// What a training changes: an adapter beside the model's weights (trained_lora.h), or all of these
// (trained_model.h). The trainer sees numbers; the backward pass shows the derivatives that their
// gradients are made of.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "engine/dropout.h"
#include "engine/lora.h"
#include "ops/gradients.h"
#include "train/gradient_sum.h"
#include "train/sample.h"

namespace slm::train {

// Rows of the activations that belong to one sample, or to a part of it.
struct SampleRows {
  int64_t sample = 0;  // of the step
  int64_t first = 0, count = 0;
  bool begins = true, ends = true;  // the first part, the last
};

inline int64_t RowsOf(std::span<const SampleRows> samples) {
  return samples.back().first + samples.back().count;
}

class TrainedWeights {
 public:
  // One product of a group that shares its input.
  struct Product {
    const ops::Matrix* matrix = nullptr;
    const model::Vector* bias = nullptr;
    float* dout = nullptr;       // [T], rows `stride` apart; DoRA changes it
    const float* out = nullptr;  // what the product gave, [T]; see ReadsOutput
    int64_t stride = 0, out_stride = 0;
  };
  // A tensor of the file that is read by the last of products [0, end): as many as it has rows for.
  struct Tensor {
    model::Slot slot;
    size_t end;
  };
  struct Group {
    int64_t layer = 0;
    const float* input = nullptr;  // [T, k], without gaps
    int64_t k = 0;
    std::span<const Product> products;
    std::span<const Tensor> tensors;
    float* dx = nullptr;  // [T, k], rows dx_stride apart, set; nullptr: nobody needs it
    int64_t dx_stride = 0;
  };

  // A norm of rows, or of `heads` parts of each.
  struct Norm {
    int64_t layer = 0;
    model::Slot slot{};
    const float* x = nullptr;     // [T, heads, n]: what it was given
    const float* dout = nullptr;  // [T, heads, n]: by what it gave
    int64_t x_stride = 0, dout_stride = 0;
    int64_t n = 0, heads = 1;
  };
  // Numbers of one tensor.
  struct Piece {
    std::span<float> values;
    bool decays = true;  // AdamW's weight decay is of these, too
  };

  virtual ~TrainedWeights() = default;

  // All that is trained. A gradient has the numbers of the pieces one behind the other.
  virtual std::vector<Piece> pieces() = 0;
  // They have changed.
  virtual void Update() = 0;
  // What beside the model and the numbers the bits of a step depend on.
  virtual nlohmann::ordered_json Identity() const = 0;

  // What the forward pass has beside the model, one layer at a time.
  virtual void HoldLayer(int64_t /*layer*/) {}
  virtual std::vector<std::shared_ptr<const engine::Lora>> loras() const { return {}; }
  // Of what adapters read, with the seeds of the rows that are computed next; or nullptr.
  virtual engine::Dropout* dropout() { return nullptr; }

  // The first layer with weights that are trained; -1: the embedding is.
  virtual int64_t first_layer() const = 0;
  // Whether Run reads what products of the slots gave, in a layer or in any.
  virtual bool ReadsOutput(int64_t /*layer*/, std::initializer_list<model::Slot> /*slots*/) const {
    return false;
  }
  virtual bool ReadsOutput(std::initializer_list<model::Slot> /*slots*/) const { return false; }

  // The backward pass of products: the derivative by their input, and the gradients of what is
  // trained of them. The precision is that of the model's own products. Parts of a sample come one
  // after the other, from its first to its last row.
  virtual void Run(const Group& group, std::span<const SampleRows> samples,
                   ops::Precision precision, GradientSum* gradient_sum) = 0;
  // The gradients of a norm's weights, parts as above.
  virtual void RunNorm(const Norm& /*norm*/, std::span<const SampleRows> /*samples*/,
                       GradientSum* /*gradient_sum*/) {}
  // dx [T, D], rows `stride` apart, is the derivative by the embedding's rows of `samples`.
  virtual void RunEmbedding(std::span<const SampleRows> /*samples*/, const float* /*dx*/,
                            int64_t /*stride*/) {}
  // All ranks together: what is not in the sum of a step goes into the gradient, which rank 0 has.
  // owners[i] is the rank of sample i.
  virtual void Finish(std::span<const Sample* const> /*samples*/, std::span<const int> /*owners*/,
                      Ranks* /*ranks*/, std::span<float> /*gradient*/) {}
  // Memory that a batch of so many rows takes for all this, beside the gradient itself.
  virtual uint64_t BytesFor(int64_t rows) const = 0;

 protected:
  // Sets group.dx, where it is wanted: the derivative through the model's own products.
  static void RunInput(ops::Gradients* gradients, const Group& group, int64_t rows,
                       ops::Precision precision);
};

}  // namespace slm::train
