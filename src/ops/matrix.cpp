#include "ops/matrix.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/table.h"

namespace slm::ops {

using quant::kPanelRows;

namespace {

// Of NF4, whose products are with its panels decoded.
constexpr kernels::MatMulKernel kDecoded = {nullptr, kernels::ActFormat::kF32, true};

const kernels::MatMulKernel& KernelOf(quant::Type type, const kernels::KernelTable& kernels) {
  return type == quant::Type::kNF4 ? kDecoded : kernels.matmul[static_cast<int>(type)];
}

}  // namespace

size_t PlainRows::row_bytes() const {
  const quant::TypeTraits& traits = quant::Traits(type);
  return static_cast<size_t>(k / traits.block_size) * traits.block_bytes;
}

Matrix::Matrix(const PlainRows& plain, const kernels::KernelTable& kernels)
    : plain_(plain),
      panel_bytes_((quant::PanelBytes(plain.type, plain.k) + 63) / 64 * 64),
      kernels_(&kernels),
      kernel_(&KernelOf(plain.type, kernels)) {}

kernels::ActFormat Matrix::format() const { return kernel_->format; }

bool Matrix::is_float() const { return kernel_->run && format() == kernels::ActFormat::kF32; }

bool Matrix::has_kernel() const { return kernel_->run != nullptr; }

bool Matrix::takes_bytes() const {
  return has_kernel() &&
         (format() == kernels::ActFormat::kAct32 || format() == kernels::ActFormat::kAct256);
}

bool Matrix::wants_panels() const { return kernel_ && kernel_->is_packed; }

size_t Matrix::bytes() const {
  return is_packed() ? packed_bytes() : plain_.row_bytes() * static_cast<size_t>(rows());
}

void Matrix::PackPanels(int64_t first, int64_t count, uint8_t* out) const {
  const size_t row_bytes = plain_.row_bytes(), used = quant::PanelBytes(type(), k());
  for (int64_t panel = first; panel < first + count; ++panel, out += panel_bytes_) {
    const int64_t row = panel * kPanelRows;
    quant::PackPanel(type(), plain_.data + static_cast<size_t>(row) * row_bytes, row_bytes,
                     static_cast<int>(std::min<int64_t>(kPanelRows, rows() - row)), k(), out);
    std::memset(out + used, 0, panel_bytes_ - used);
  }
}

void Matrix::Pack(ThreadPool* pool) {
  if (!wants_panels() || is_packed()) return;
  storage_ = AlignedBuffer(packed_bytes());
  pool->ParallelFor(panels(), [&](int64_t panel, int) {
    PackPanels(panel, 1, storage_.data() + static_cast<size_t>(panel) * panel_bytes_);
  });
  panels_ = storage_.data();
}

void Matrix::SetPanels(int64_t first, int64_t end, kernels::MatMulArgs* args) const {
  args->type = type();
  args->panels = static_cast<int>(std::min<int64_t>(kernel_->max_panels, end - first));
  args->panel_stride = panel_bytes_;
  args->rows = static_cast<int>(std::min<int64_t>(kPanelRows, rows() - first * kPanelRows));
  args->k = k();
  if (is_packed()) {
    args->panel = panels_ + static_cast<size_t>(first) * panel_bytes_;
  } else if (wants_panels()) {
    const size_t bytes = static_cast<size_t>(args->panels) * panel_bytes_;
    thread_local AlignedBuffer scratch;
    if (scratch.size() < bytes) scratch = AlignedBuffer(bytes);
    PackPanels(first, args->panels, scratch.data());
    args->panel = scratch.data();
  } else {
    args->panel = plain_.data + static_cast<size_t>(first * kPanelRows) * plain_.row_bytes();
  }
}

void Matrix::Run(const kernels::MatMulArgs& args) const {
  kernels_->matmul[static_cast<int>(args.type)].run(args);
}

void Matrix::SetFloatPanels(int64_t first, int64_t end, kernels::MatMulArgs* args) const {
  const size_t bytes = quant::PanelBytes(quant::Type::kF32, k());
  const kernels::MatMulKernel& kernel = kernels_->matmul[static_cast<int>(quant::Type::kF32)];
  args->type = quant::Type::kF32;
  args->panels = static_cast<int>(std::min<int64_t>(kernel.max_panels, end - first));
  args->panel_stride = bytes;
  args->rows = static_cast<int>(std::min<int64_t>(kPanelRows, rows() - first * kPanelRows));
  args->k = k();
  thread_local AlignedBuffer scratch;
  if (scratch.size() < bytes * static_cast<size_t>(args->panels))
    scratch = AlignedBuffer(bytes * static_cast<size_t>(args->panels));
  args->panel = scratch.data();
  auto* floats = reinterpret_cast<float*>(scratch.data());
  if (!kernel.is_packed)
    for (int64_t row = 0; row < args->rows; ++row)
      DecodeRow(first * kPanelRows + row, floats + row * k());
  else
    for (int64_t panel = 0; panel < args->panels; ++panel)
      DecodePanel(first + panel, 0, k(), floats + panel * k() * kPanelRows);
}

void Matrix::SetWordPanels(int64_t first, int64_t end, kernels::MatMulArgs* args) const {
  constexpr int64_t kPanels = 4;
  args->panels = static_cast<int>(std::min(kPanels, end - first));
  args->panel_stride = static_cast<size_t>(k() / kernels::kWordBlock * kernels_->words.block_bytes);
  args->rows = static_cast<int>(std::min<int64_t>(kPanelRows, rows() - first * kPanelRows));
  args->k = k();
  thread_local AlignedBuffer scratch;
  thread_local std::vector<float> decoded;
  const size_t bytes = static_cast<size_t>(kPanels) * args->panel_stride;
  if (scratch.size() < bytes) scratch = AlignedBuffer(bytes);
  decoded.resize(static_cast<size_t>(kernels::kWordGroup * kPanelRows));
  args->panel = scratch.data();
  // A group at a time: its floats stay in the first cache.
  for (int64_t panel = 0; panel < args->panels; ++panel)
    for (int64_t i = 0; i < k(); i += kernels::kWordGroup) {
      const int64_t count = std::min(kernels::kWordGroup, k() - i);
      DecodePanel(first + panel, i, count, decoded.data());
      kernels_->words.encode(
          decoded.data(), count,
          scratch.data() + static_cast<size_t>(panel) * args->panel_stride +
              static_cast<size_t>(i / kernels::kWordBlock * kernels_->words.block_bytes));
    }
}

void Matrix::DecodePanel(int64_t panel, int64_t first, int64_t count, float* out) const {
  if (is_packed())
    return kernels_->decode_panel(type(), panels_ + static_cast<size_t>(panel) * panel_bytes_,
                                  first, count, out);
  const quant::TypeTraits& traits = quant::Traits(type());
  const size_t row_bytes = plain_.row_bytes();
  const uint8_t* from = plain_.data + static_cast<size_t>(panel * kPanelRows) * row_bytes +
                        static_cast<size_t>(first / traits.block_size) * traits.block_bytes;
  const int64_t there = std::min<int64_t>(kPanelRows, rows() - panel * kPanelRows);
  std::vector<float> row(static_cast<size_t>(count));
  for (int64_t r = 0; r < kPanelRows; ++r, from += row_bytes) {
    if (r < there) traits.decode(from, row.data(), count);
    for (int64_t k = 0; k < count; ++k)
      out[k * kPanelRows + r] = r < there ? row[static_cast<size_t>(k)] : 0.0f;
  }
}

void Matrix::DecodeRow(int64_t row, float* out) const {
  const auto decode = quant::Traits(type()).decode;
  const size_t row_bytes = plain_.row_bytes();
  if (!is_packed()) return decode(plain_.data + static_cast<size_t>(row) * row_bytes, out, k());
  std::vector<uint8_t> bytes(row_bytes);
  quant::UnpackRow(type(), panels_ + static_cast<size_t>(row / kPanelRows) * panel_bytes_, k(),
                   static_cast<int>(row % kPanelRows), bytes.data());
  decode(bytes.data(), out, k());
}

}  // namespace slm::ops
