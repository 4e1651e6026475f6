#include "ops/matrix.h"

#include <algorithm>

#include "base/thread_pool.h"

namespace slm::ops {

size_t PlainRows::row_bytes() const {
  const quant::TypeTraits& traits = quant::Traits(type);
  return static_cast<size_t>(k / traits.block_size) * traits.block_bytes;
}

Matrix::Matrix(const PlainRows& plain, const kernels::KernelTable& kernels, ThreadPool* pool)
    : type_(plain.type),
      rows_(plain.rows),
      k_(plain.k),
      kernel_(&kernels.matmul[static_cast<int>(plain.type)]) {
  const size_t row_bytes = plain.row_bytes();
  if (!kernel_->is_packed) {
    panel_bytes_ = quant::kPanelRows * row_bytes;
    data_ = plain.data;
    return;
  }
  panel_bytes_ = (quant::PanelBytes(type_, k_) + 63) / 64 * 64;
  storage_ = AlignedBuffer(panel_bytes_ * static_cast<size_t>(panels()));
  data_ = storage_.data();
  pool->ParallelFor(panels(), [&](int64_t panel, int) {
    const int64_t row = panel * quant::kPanelRows;
    quant::PackPanel(type_, plain.data + static_cast<size_t>(row) * row_bytes, row_bytes,
                     static_cast<int>(std::min<int64_t>(quant::kPanelRows, rows_ - row)), k_,
                     storage_.data() + static_cast<size_t>(panel) * panel_bytes_);
  });
}

void Matrix::SetPanels(int64_t first, int64_t end, kernels::MatMulArgs* args) const {
  args->type = type_;
  args->panel = data_ + static_cast<size_t>(first) * panel_bytes_;
  args->panels = static_cast<int>(std::min<int64_t>(kernel_->max_panels, end - first));
  args->panel_stride = panel_bytes_;
  args->rows =
      static_cast<int>(std::min<int64_t>(quant::kPanelRows, rows_ - first * quant::kPanelRows));
  args->k = k_;
}

}  // namespace slm::ops
