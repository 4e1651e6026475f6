// A weight matrix in the form that the kernels read.
#pragma once

#include <cstdint>

#include "base/aligned_buffer.h"
#include "quant/packed.h"
#include "quant/type.h"

namespace slm {
class ThreadPool;
}
namespace slm::kernels {
enum class ActFormat;
struct KernelTable;
struct MatMulArgs;
struct MatMulKernel;
}  // namespace slm::kernels

namespace slm::ops {

// Rows of a weight as they lie in a file: [rows, k].
struct PlainRows {
  quant::Type type = quant::Type::kF32;
  const uint8_t* data = nullptr;
  int64_t rows = 0;
  int64_t k = 0;  // a multiple of the type's block

  size_t row_bytes() const;
};

// [rows, k], in panels of 16 rows. Where the kernels want them packed (quant/packed.h), the panels
// are the matrix's own, or somebody else's, or each is packed from the rows whenever it is used:
// the bits of a product are the same.
class Matrix {
 public:
  Matrix() = default;
  // Reads `plain` where it lies. It must outlive the matrix, until that is packed.
  Matrix(const PlainRows& plain, const kernels::KernelTable& kernels);
  // Packed where the kernels want it.
  Matrix(const PlainRows& plain, const kernels::KernelTable& kernels, ThreadPool* pool)
      : Matrix(plain, kernels) {
    Pack(pool);
  }

  const PlainRows& plain() const { return plain_; }  // of a packed one, data may be gone
  int64_t rows() const { return plain_.rows; }
  int64_t k() const { return plain_.k; }
  int64_t panels() const { return (rows() + quant::kPanelRows - 1) / quant::kPanelRows; }
  quant::Type type() const { return plain_.type; }
  kernels::ActFormat format() const;
  // Whether the kernel of the type multiplies floats, exactly; and whether there is one.
  bool is_float() const;
  bool has_kernel() const;
  // Whether it multiplies activations of 8 bits.
  bool takes_bytes() const;

  bool wants_panels() const;
  bool is_packed() const { return panels_ != nullptr; }
  size_t panel_bytes() const { return panel_bytes_; }  // from packed panel to packed panel
  size_t packed_bytes() const { return panel_bytes_ * static_cast<size_t>(panels()); }
  size_t bytes() const;  // that a product reads

  // Packs panels [first, first + count) into `out`.
  void PackPanels(int64_t first, int64_t count, uint8_t* out) const;
  // Reads these from now on: all panels, as PackPanels made them, at a multiple of 64 bytes.
  void UsePanels(const uint8_t* panels) { panels_ = panels; }
  // Packs into memory of its own with all threads of the pool; nothing where the kernels read rows.
  void Pack(ThreadPool* pool);

  // Fills what the arguments say of the weights: as many panels from `first` on as a call of Run
  // may have, before `end`. Those that had to be packed are good until the same thread asks again.
  void SetPanels(int64_t first, int64_t end, kernels::MatMulArgs* args) const;
  // The same of the panels decoded, as those of an F32 matrix; or rounded to words.
  void SetFloatPanels(int64_t first, int64_t end, kernels::MatMulArgs* args) const;
  void SetWordPanels(int64_t first, int64_t end, kernels::MatMulArgs* args) const;
  void Run(const kernels::MatMulArgs& args) const;

  // Elements [first, first + count) of the panel's 16 rows as floats, [count][16]; rows that are
  // not there are 0. `first` and `count` are multiples of the type's block.
  void DecodePanel(int64_t panel, int64_t first, int64_t count, float* out) const;

  // What the row means, as TypeTraits::decode has it: k floats.
  void DecodeRow(int64_t row, float* out) const;

 private:
  PlainRows plain_;
  size_t panel_bytes_ = 0;
  const uint8_t* panels_ = nullptr;
  const kernels::KernelTable* kernels_ = nullptr;
  const kernels::MatMulKernel* kernel_ = nullptr;  // of the type
  AlignedBuffer storage_;
};

}  // namespace slm::ops
