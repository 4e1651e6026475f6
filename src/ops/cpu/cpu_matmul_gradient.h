// dx = dout W: products with the transpose of weights that are stored for the other way. A strip of
// columns of W at a time becomes panels, in floats or in words, and is multiplied by the
// kernels of the forward pass.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "ops/cpu/float_panels.h"
#include "ops/gradients.h"

namespace slm::ops {

class CpuMatMulGradient {
 public:
  struct Args {
    int64_t rows = 0, k = 0;
    Precision precision = Precision::kFloats;
    bool adds = false;
    int64_t dx_stride = 0;
    float* dx = nullptr;
  };

  CpuMatMulGradient(const kernels::KernelTable& kernels, ThreadPool* pool);
  // As Gradients::MatMul and MatMulBytes have it.
  void Run(std::span<const ProductGradient> products, const Args& args);
  uint64_t BytesFor(int64_t rows, int64_t numbers, Precision precision) const;

 private:
  // Columns [first, first + count) of the weights for rows [row, row + rows) of dx.
  struct Strip {
    int64_t first = 0, count = 0, row = 0, rows = 0;
  };
  struct Scratch {
    explicit Scratch(const kernels::KernelTable& kernels) : multiplier(kernels) {}
    FloatMultiplier multiplier;
    FloatPanels panels;          // of a strip: [rows of the weights, columns]
    AlignedBuffer bytes;         // of a strip in words, which the panels then are a group of
    std::vector<float> decoded;  // of a panel, [columns][16]
  };

  // Rows [n, n + weights) of the strip as panels of floats.
  void FillDecoded(const Matrix& matrix, const Strip& strip, int64_t n, int64_t weights,
                   Scratch* scratch) const;
  void RunFloat(std::span<const ProductGradient> products, const Args& args, const Strip& strip,
                Scratch* scratch) const;
  void Round(std::span<const ProductGradient> products, int64_t rows);
  void RunWords(std::span<const ProductGradient> products, const Args& args, const Strip& strip,
                Scratch* scratch) const;
  // Rows [n, n + weights) of the strip as panels of words, `stride` bytes apart.
  void Encode(const Matrix& matrix, const Strip& strip, int64_t n, int64_t weights, size_t stride,
              Scratch* scratch) const;

  const kernels::KernelTable& kernels_;
  ThreadPool* pool_;
  std::vector<Scratch> scratch_;  // per thread
  AlignedBuffer rounded_;      // the rows of all products' dout as ActWords, one behind the other
  size_t rounded_stride_ = 0;  // bytes of one row
};

}  // namespace slm::ops
