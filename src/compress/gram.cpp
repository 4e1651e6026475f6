#include "compress/gram.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/table.h"
#include "ops/matrix.h"

namespace slm::compress {

Gram::Gram(int64_t k) : k_(k), sums_(static_cast<size_t>(k * k)) {}

void Gram::Add(const float* x, int64_t rows, const kernels::KernelTable& kernels,
               ThreadPool* pool) {
  columns_.resize(static_cast<size_t>(k_ * rows));
  constexpr int64_t kTile = 32;
  pool->ParallelFor((k_ + kTile - 1) / kTile, [&](int64_t tile, int) {
    const int64_t end = std::min(k_, (tile + 1) * kTile);
    for (int64_t t = 0; t < rows; ++t)
      for (int64_t i = tile * kTile; i < end; ++i)
        columns_[static_cast<size_t>(i * rows + t)] = x[t * k_ + i];
  });
  // Columns are the rows of both factors.
  const ops::Matrix matrix(
      {quant::Type::kF32, reinterpret_cast<const uint8_t*>(columns_.data()), k_, rows}, kernels,
      pool);
  pool->ParallelFor(matrix.panels(), [&](int64_t panel, int) {
    const int64_t first = panel * quant::kPanelRows;
    const int64_t width = std::min<int64_t>(quant::kPanelRows, k_ - first);
    thread_local std::vector<float> products;
    products.resize(static_cast<size_t>((k_ - first) * quant::kPanelRows));
    kernels::MatMulArgs args = {};
    matrix.SetPanels(panel, panel + 1, &args);
    args.act = reinterpret_cast<const uint8_t*>(columns_.data() + first * rows);
    args.act_stride = static_cast<size_t>(rows) * sizeof(float);
    args.cols = static_cast<int>(k_ - first);
    args.out = products.data();
    args.out_stride = quant::kPanelRows;
    matrix.Run(args);
    for (int64_t i = first; i < k_; ++i) {
      float* to = sums_.data() + i * k_ + first;
      const float* from = products.data() + (i - first) * quant::kPanelRows;
      for (int64_t j = 0; j < width; ++j) to[j] += from[j];
    }
  });
  rows_ += rows;
}

bool Gram::IsFinite() const {
  for (int64_t i = 0; i < k_; ++i)
    if (!std::isfinite(sums_[static_cast<size_t>(i * k_ + i)])) return false;
  return true;
}

std::vector<float> Gram::Means() const {
  std::vector<float> means(static_cast<size_t>(k_));
  for (int64_t i = 0; i < k_; ++i)
    means[static_cast<size_t>(i)] =
        sums_[static_cast<size_t>(i * k_ + i)] / static_cast<float>(std::max<int64_t>(rows_, 1));
  return means;
}

}  // namespace slm::compress
