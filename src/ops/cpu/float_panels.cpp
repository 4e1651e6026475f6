#include "ops/cpu/float_panels.h"

#include <algorithm>
#include <cstring>

namespace slm::ops {

using quant::kPanelRows;

void FloatPanels::Resize(int64_t k, int64_t n) {
  k_ = k;
  const int64_t panels = (n + kPanelRows - 1) / kPanelRows;
  const size_t bytes = static_cast<size_t>(panels * k * kPanelRows) * sizeof(float);
  if (memory_.size() < bytes) memory_ = AlignedBuffer(bytes);
}

template <class FillOne>
void FloatPanels::FillEach(int64_t k, int64_t n, const FillOne& fill) {
  Resize(k, n);
  for (int64_t j = 0; j < n; j += kPanelRows) {
    float* to = panel(j / kPanelRows);
    const int64_t columns = std::min<int64_t>(kPanelRows, n - j);
    if (columns < kPanelRows) std::fill_n(to, k * kPanelRows, 0.0f);
    fill(j, columns, to);
  }
}

void FloatPanels::Fill(const float* b, int64_t stride, int64_t k, int64_t n) {
  FillEach(k, n, [&](int64_t j, int64_t columns, float* to) {
    for (int64_t i = 0; i < k; ++i) std::copy_n(b + i * stride + j, columns, to + i * kPanelRows);
  });
}

void FloatPanels::FillTransposed(const float* b, int64_t stride, int64_t k, int64_t n) {
  FillEach(k, n, [&](int64_t j, int64_t columns, float* to) {
    Transpose(b + j * stride, stride, columns, k, to, kPanelRows);
  });
}

FloatMultiplier::FloatMultiplier(const kernels::KernelTable& kernels) {
  constexpr int kF32 = static_cast<int>(quant::Type::kF32);
  kernel_ = &kernels.matmul[kF32];
  if (!kernel_->is_packed) kernel_ = &kernels::FindTable("scalar").matmul[kF32];
}

void FloatMultiplier::Run(const FloatPanels& b, const FloatProduct& p) {
  kernels::MatMulArgs args = {};
  args.type = quant::Type::kF32;
  args.k = p.k;
  args.act = reinterpret_cast<const uint8_t*>(p.a);
  args.act_stride = static_cast<size_t>(p.a_stride) * sizeof(float);
  args.cols = static_cast<int>(p.m);
  args.adds = p.adds;
  for (int64_t n = 0; n < p.n; n += kPanelRows) {
    const int64_t columns = std::min<int64_t>(kPanelRows, p.n - n);
    const bool is_edge = columns < kPanelRows;
    if (is_edge) {
      edge_.resize(static_cast<size_t>(p.m * kPanelRows));
      for (int64_t i = 0; i < p.m && p.adds; ++i)
        std::copy_n(p.c + i * p.c_stride + n, columns, &edge_[static_cast<size_t>(i * kPanelRows)]);
    }
    args.panel = reinterpret_cast<const uint8_t*>(b.panel(p.first_panel + n / kPanelRows) +
                                                  p.first_k * kPanelRows);
    args.rows = static_cast<int>(columns);
    args.out = is_edge ? edge_.data() : p.c + n;
    args.out_stride = is_edge ? kPanelRows : p.c_stride;
    kernel_->run(args);
    for (int64_t i = 0; i < p.m && is_edge; ++i)
      std::copy_n(&edge_[static_cast<size_t>(i * kPanelRows)], columns, p.c + i * p.c_stride + n);
  }
}

namespace {

using Four __attribute__((vector_size(16))) = float;

Four Load(const float* from) {
  Four x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

void TransposeFour(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  const Four a = Load(from), b = Load(from + from_stride);
  const Four c = Load(from + 2 * from_stride), d = Load(from + 3 * from_stride);
  const Four ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Four ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Four cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Four cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  const Four columns[] = {
      __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5), __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7),
      __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5), __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7)};
  for (const Four& column : columns) {
    std::memcpy(to, &column, sizeof column);
    to += to_stride;
  }
}

}  // namespace

void Transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
               int64_t to_stride) {
  // In squares that stay in the first cache.
  constexpr int64_t kBlock = 16;
  for (int64_t r0 = 0; r0 < rows; r0 += kBlock)
    for (int64_t c0 = 0; c0 < columns; c0 += kBlock) {
      const int64_t row_end = std::min(rows, r0 + kBlock);
      const int64_t column_end = std::min(columns, c0 + kBlock);
      for (int64_t r = r0; r < row_end; r += 4)
        for (int64_t c = c0; c < column_end; c += 4) {
          const float* corner = from + r * from_stride + c;
          float* turned = to + c * to_stride + r;
          if (r + 4 <= row_end && c + 4 <= column_end) {
            TransposeFour(corner, from_stride, turned, to_stride);
            continue;
          }
          for (int64_t i = 0; i < std::min<int64_t>(4, row_end - r); ++i)
            for (int64_t j = 0; j < std::min<int64_t>(4, column_end - c); ++j)
              turned[j * to_stride + i] = corner[i * from_stride + j];
        }
    }
}

}  // namespace slm::ops
