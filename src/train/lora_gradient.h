// The backward pass of products with low-rank adapters beside them:
//   y = W x + s B (A x)
//   dx = W^T dy + A^T dh, dA = dh x^T, dB = s dy (A x)^T, with dh = s B^T dy
// and of DoRA, whose norms are constants of the step (Liu et al., arXiv 2402.09353, 4.3), so that
// dy is that of y times factor, and dm = dy y / m. B A is never formed.
//
// With dropout, of mask M, adapters have M x for x: dA = dh (M x)^T, and M is before A^T. DoRA is
// of M x too, as PEFT has it: y = W (x - M x) + factor (W + s B A) M x, so that
//   dx = W^T dy + M (W^T (factor - 1) dy + A^T dh)
// and dm is of the second term alone.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/dropout.h"
#include "engine/lora.h"
#include "ops/gradients.h"
#include "train/parameter_layout.h"

namespace slm::train {

// Rows of the activations that belong to one sample, or to a part of it.
struct SampleRows {
  int64_t sample = 0;  // of the batch
  int64_t first = 0, count = 0;
  bool begins = true, ends = true;  // the first part, the last
};

// Takes numbers [at, at + n) of the gradient of sample `index` of the batch; they may be changed.
using GradientSink = std::function<void(int64_t index, int64_t at, std::span<float> values)>;

class LoraGradient {
 public:
  // One product of a group that shares its input.
  struct Product {
    const ops::Matrix* matrix = nullptr;
    const model::Vector* bias = nullptr;
    float* dout = nullptr;       // [T], rows `stride` apart; DoRA changes it
    const float* out = nullptr;  // what the product gave, [T]; only DoRA reads it
    int64_t stride = 0, out_stride = 0;
  };
  // A tensor of the file that is read by the last `parts` of products [0, end).
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

  // All must outlive the result. `values` is what `bound` was bound from; `dropout`, which may be
  // nullptr, has the seeds of the rows that are given to Run.
  LoraGradient(ops::Backend* backend, const model::Lora& values, const engine::Lora& bound,
               const ParameterLayout& layout, engine::Dropout* dropout);

  // The precision is that of the base's products; the adapters' own are in floats. Parts of a
  // sample come one after the other, from its first to its last row.
  void Run(const Group& group, std::span<const SampleRows> samples, ops::Precision precision,
           const GradientSink& sink);

  bool HasMagnitude(int64_t layer, std::initializer_list<model::Slot> slots) const;
  bool HasMagnitude(std::initializer_list<model::Slot> slots) const;  // in any layer
  int64_t first_layer() const { return first_layer_; }                // that has an adapter
  // Memory of a batch of so many rows.
  uint64_t BytesFor(int64_t rows) const;

 private:
  static constexpr size_t kNone = ~size_t{0};
  size_t Find(int64_t layer, model::Slot slot) const;
  void RunMagnitudes(const Group& group, const Tensor& tensor, std::span<const SampleRows> samples,
                     ops::Precision precision, const GradientSink& sink);
  void RunTensor(const Group& group, const Tensor& tensor, std::span<const SampleRows> samples,
                 const GradientSink& sink);

  ops::Backend* backend_;
  ops::Gradients* gradients_;
  const model::Lora& values_;
  const engine::Lora& bound_;
  const ParameterLayout& layout_;
  engine::Dropout* dropout_;
  std::vector<size_t> by_slot_;  // [layers][slots]: index of the matrix
  int64_t first_layer_ = 0;
  // Of a sample so far.
  struct Sum {
    std::vector<float> a, b;  // [rank, in], [rank, out]
    std::vector<float> magnitude;
  };
  std::vector<Sum> sums_;          // by slot
  std::vector<float> low_, dlow_;  // [T, rank]
  std::vector<float> turned_, zeros_;
  std::vector<float> ddropped_;  // [T, k]: by M x
};

}  // namespace slm::train
