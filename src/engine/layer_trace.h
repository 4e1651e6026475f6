// What the backward pass of a layer reads of its forward pass, beside the layer's input.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/aligned_buffer.h"
#include "model/hparams.h"

namespace slm::engine {

constexpr int64_t PadRow(int64_t n) { return (n + 15) / 16 * 16; }

// Floats from row to row: an odd number of cache lines, so that a column of rows spreads over the
// sets of the caches.
constexpr int64_t RowStride(int64_t n) { return PadRow(n) + (PadRow(n) / 16 % 2 == 0 ? 16 : 0); }

// Where a row has its queries, keys and values side by side; and gate and up.
struct AttentionRow {
  explicit AttentionRow(const model::Hparams& h)
      : k(PadRow(h.heads * h.head_dim)),
        v(k + PadRow(h.kv_heads * h.head_dim)),
        stride(RowStride(v + PadRow(h.kv_heads * h.head_dim))) {}
  int64_t q = 0, k, v, stride;
};
struct GateRow {
  explicit GateRow(const model::Hparams& h)
      : up(PadRow(h.ffn)), stride(RowStride(up + PadRow(h.ffn))) {}
  int64_t gate = 0, up, stride;
};

// [T, n], rows `stride` apart. Without rows it is not wanted.
class RowBuffer {
 public:
  RowBuffer() = default;
  RowBuffer(int64_t rows, int64_t stride)
      : rows_(rows), stride_(stride), memory_(static_cast<size_t>(rows * stride) * sizeof(float)) {}

  float* data() { return reinterpret_cast<float*>(memory_.data()); }
  const float* data() const { return reinterpret_cast<const float*>(memory_.data()); }
  int64_t rows() const { return rows_; }
  int64_t stride() const { return stride_; }
  bool empty() const { return stride_ == 0; }
  // That the first `rows` rows take; what is never touched takes none.
  uint64_t BytesFor(int64_t rows) const {
    return static_cast<uint64_t>(std::min(rows, rows_) * stride_) * sizeof(float);
  }

  // Rows from `row` on become those at `from`, as far as both go.
  void Copy(const float* from, int64_t from_stride, int64_t rows, int64_t row) {
    const int64_t n = std::min(from_stride, stride_);
    for (int64_t t = 0; t < rows && n > 0; ++t)
      std::copy_n(from + t * from_stride, n, data() + (row + t) * stride_);
  }

 private:
  int64_t rows_ = 0, stride_ = 0;
  AlignedBuffer memory_;
};

// Of the half with attention. `keeps_output`: of the last product too, which a norm behind it and
// DoRA read.
struct AttentionTrace {
  AttentionTrace(const model::Hparams& h, int64_t rows, bool keeps_output)
      : qkv(rows, AttentionRow(h).stride),
        attended(rows, h.heads * h.head_dim),
        middle(rows, h.d_model) {
    if (keeps_output) out = RowBuffer(rows, RowStride(h.d_model));
  }

  uint64_t BytesFor(int64_t rows) const {
    return qkv.BytesFor(rows) + attended.BytesFor(rows) + out.BytesFor(rows) +
           middle.BytesFor(rows);
  }

  RowBuffer qkv;       // AttentionRow: as the products and adapters gave them
  RowBuffer attended;  // [T, H Dh], without gaps, as inputs of products are
  RowBuffer out;       // [T, D]: of the output product, before its norm
  RowBuffer middle;    // [T, D], without gaps: the residual rows between the layer's halves
};

// Of the other half, which begins with `middle`.
struct FeedForwardTrace {
  FeedForwardTrace(const model::Hparams& h, int64_t rows, bool keeps_output)
      : gate_up(rows, GateRow(h).stride) {
    if (keeps_output) out = RowBuffer(rows, RowStride(h.d_model));
  }

  uint64_t BytesFor(int64_t rows) const { return gate_up.BytesFor(rows) + out.BytesFor(rows); }

  RowBuffer gate_up;  // GateRow
  RowBuffer out;      // [T, D]: of the down product, before its norm
};

}  // namespace slm::engine
