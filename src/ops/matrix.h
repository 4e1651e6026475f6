// A weight matrix in the form that the kernels read.
#pragma once

#include <cstdint>

#include "base/aligned_buffer.h"
#include "kernels/table.h"
#include "quant/type.h"

namespace slm {
class ThreadPool;
}

namespace slm::ops {

// Rows of a weight as they lie in a file: [rows, k].
struct PlainRows {
  quant::Type type = quant::Type::kF32;
  const uint8_t* data = nullptr;
  int64_t rows = 0;
  int64_t k = 0;  // a multiple of the type's block

  size_t row_bytes() const;
};

// [rows, k], in panels of 16 rows: packed copies, or the file's rows where the kernels read those.
class Matrix {
 public:
  Matrix() = default;
  // Packs with all threads of the pool. `plain` must outlive the matrix when it is not packed.
  Matrix(const PlainRows& plain, const kernels::KernelTable& kernels, ThreadPool* pool);

  int64_t rows() const { return rows_; }
  int64_t k() const { return k_; }
  int64_t panels() const { return (rows_ + quant::kPanelRows - 1) / quant::kPanelRows; }
  quant::Type type() const { return type_; }
  kernels::ActFormat format() const { return kernel_->format; }
  size_t bytes() const { return panel_bytes_ * static_cast<size_t>(panels()); }
  bool is_packed() const { return kernel_ && kernel_->is_packed; }

  // Fills what the arguments say of the weights: as many panels from `first` on as a call of Run
  // may have, before `end`.
  void SetPanels(int64_t first, int64_t end, kernels::MatMulArgs* args) const;
  void Run(const kernels::MatMulArgs& args) const { kernel_->run(args); }

 private:
  quant::Type type_ = quant::Type::kF32;
  int64_t rows_ = 0, k_ = 0;
  size_t panel_bytes_ = 0;
  const uint8_t* data_ = nullptr;
  const kernels::MatMulKernel* kernel_ = nullptr;
  AlignedBuffer storage_;
};

}  // namespace slm::ops
