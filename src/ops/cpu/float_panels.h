// Products of float matrices on one thread, by the kernel that multiplies F32 panels. Every output
// is one chain of fused multiply-adds over ascending k, from 0 or from what stands there, so that
// neither tiles nor the cutting of a sum into calls change a bit.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/table.h"
#include "quant/packed.h"

namespace slm::ops {

// The right side of a product, [k, n], in panels of 16 columns: [n / 16][k][16], missing columns 0.
class FloatPanels {
 public:
  // Room for so much; what stands there is lost.
  void Resize(int64_t k, int64_t n);
  // From k rows of b, `stride` apart; or from n, so that column j is row j of b.
  void Fill(const float* b, int64_t stride, int64_t k, int64_t n);
  void FillTransposed(const float* b, int64_t stride, int64_t k, int64_t n);

  int64_t k() const { return k_; }
  float* panel(int64_t index) { return Data() + index * k_ * quant::kPanelRows; }
  const float* panel(int64_t index) const { return Data() + index * k_ * quant::kPanelRows; }

 private:
  // fill(j, columns, panel) for the panel that begins with column j.
  template <class FillOne>
  void FillEach(int64_t k, int64_t n, const FillOne& fill);
  float* Data() const { return reinterpret_cast<float*>(memory_.data()); }

  int64_t k_ = 0;
  AlignedBuffer memory_;
};

// c [m, n] (+)= a [m, k] b. Rows of a and c are strides apart; c is written in its n columns only.
struct FloatProduct {
  const float* a = nullptr;
  int64_t a_stride = 0;
  int64_t m = 0, n = 0;
  int64_t first_k = 0, k = 0;  // rows of the panels
  int64_t first_panel = 0;     // whose first column is c's
  bool adds = false;
  float* c = nullptr;
  int64_t c_stride = 0;
};

class FloatMultiplier {
 public:
  // The tables' F32 panels, or those of the specification where they have none.
  explicit FloatMultiplier(const kernels::KernelTable& kernels);
  void Run(const FloatPanels& b, const FloatProduct& product);

 private:
  const kernels::MatMulKernel* kernel_;
  std::vector<float> edge_;  // where c has fewer than 16 columns left
};

// to [columns][rows] from [rows][columns]; rows are strides apart.
void Transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
               int64_t to_stride);

}  // namespace slm::ops
