// Rounds a matrix onto the grid of a quantized type so that the output of its products stays near,
// not the weights: every column's rounding takes in what was lost in the columns before it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "compress/encode_tensor.h"
#include "compress/feedback_factor.h"
#include "ops/matrix.h"

namespace slm::compress {

class FeedbackEncoder {
 public:
  // The factor must outlive the encoder. `type` is a quantized one whose block divides factor.k.
  FeedbackEncoder(const FeedbackFactor& factor, quant::Type type,
                  const kernels::KernelTable& kernels, ThreadPool* pool);

  // Rows of factor.k elements, finite. Hands the encoded rows to `sink` in their order. Returns the
  // squared error of the outputs, in the factor's unit, summed over rows.
  double Encode(const format::TensorSource& source,
                const std::function<void(std::span<const uint8_t>)>& sink);

 private:
  class Task;

  const FeedbackFactor& factor_;
  quant::Type type_;
  const kernels::KernelTable& kernels_;
  ThreadPool* pool_;
  std::vector<std::vector<float>> rows_;  // of U^T, group by group: what matrices_ may read
  std::vector<ops::Matrix> matrices_;     // feedback into a group of columns from all before it
};

}  // namespace slm::compress
