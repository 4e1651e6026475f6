#include "ops/cpu/cpu_matmul_gradient.h"

#include <algorithm>

#include "base/thread_pool.h"

namespace slm::ops {
namespace {

using kernels::kWordBlock;
using kernels::kWordGroup;
using quant::kPanelRows;
using quant::Type;

// Columns of a strip, at least: whole blocks of every type.
constexpr int64_t kColumns = 64;
// Rows of weights that are panels at once: of 256 columns half a megabyte of floats or words.
constexpr int64_t kFloatRows = 512, kWordRows = 1024;

bool IsRounded(std::span<const ProductGradient> products, Precision precision) {
  return precision == Precision::kWords &&
         std::all_of(products.begin(), products.end(), [](const auto& product) {
           return product.matrix->type() != Type::kF32 &&
                  product.matrix->rows() % kWordBlock == 0 && product.matrix->k() % kPanelRows == 0;
         });
}

}  // namespace

CpuMatMulGradient::CpuMatMulGradient(const kernels::KernelTable& kernels, ThreadPool* pool)
    : kernels_(kernels.matmul[static_cast<int>(Type::kF32)].is_packed
                   ? kernels
                   : kernels::FindTable("scalar")),
      pool_(pool) {
  for (int i = 0; i < pool->threads(); ++i) scratch_.emplace_back(kernels_);
}

void CpuMatMulGradient::Run(std::span<const ProductGradient> products, const Args& args) {
  int64_t columns = kColumns;
  for (const ProductGradient& product : products)
    columns = std::max<int64_t>(columns, quant::Traits(product.matrix->type()).block_size);
  const int64_t strips = (args.k + columns - 1) / columns;
  // Where there are few strips, as of an adapter, threads share them.
  const int64_t threads = pool_->used();
  const int64_t parts =
      strips >= 2 * threads ? 1 : std::clamp<int64_t>(args.rows / 64, 1, 4 * threads);
  const int64_t rows = (args.rows + parts - 1) / parts;
  const bool is_rounded = IsRounded(products, args.precision);
  if (is_rounded) Round(products, args.rows);
  pool_->ParallelFor(strips * parts, [&](int64_t chunk, int thread) {
    Strip strip;
    strip.first = chunk / parts * columns;
    strip.count = std::min(columns, args.k - strip.first);
    strip.row = chunk % parts * rows;
    strip.rows = std::min(rows, args.rows - strip.row);
    if (strip.rows <= 0) return;
    Scratch* scratch = &scratch_[static_cast<size_t>(thread)];
    is_rounded ? RunWords(products, args, strip, scratch)
               : RunFloat(products, args, strip, scratch);
  });
}

uint64_t CpuMatMulGradient::BytesFor(int64_t rows, int64_t numbers, Precision precision) const {
  const bool is_rounded = precision == Precision::kWords;
  // Strips of most types are of 256 columns.
  const uint64_t strip = 256 * (is_rounded ? kWordRows * 2 + kWordGroup * 4 : kFloatRows * 4);
  const uint64_t rounded = kernels::ActRowBytes(kernels::ActFormat::kWords, numbers);
  return scratch_.size() * strip + (is_rounded ? static_cast<uint64_t>(rows) * rounded : 0);
}

void CpuMatMulGradient::FillDecoded(const Matrix& matrix, const Strip& strip, int64_t n,
                                    int64_t weights, Scratch* scratch) const {
  scratch->decoded.resize(static_cast<size_t>(strip.count * kPanelRows));
  // A panel of weights is a few rows of all panels of the strip.
  scratch->panels.Resize((weights + kPanelRows - 1) / kPanelRows * kPanelRows, strip.count);
  for (int64_t row = 0; row < weights; row += kPanelRows) {
    matrix.DecodePanel((n + row) / kPanelRows, strip.first, strip.count, scratch->decoded.data());
    for (int64_t j = 0; j < strip.count; j += kPanelRows)
      Transpose(&scratch->decoded[static_cast<size_t>(j * kPanelRows)], kPanelRows,
                std::min<int64_t>(kPanelRows, strip.count - j), kPanelRows,
                scratch->panels.panel(j / kPanelRows) + row * kPanelRows, kPanelRows);
  }
}

void CpuMatMulGradient::RunFloat(std::span<const ProductGradient> products, const Args& args,
                                 const Strip& strip, Scratch* scratch) const {
  float* dx = args.dx + strip.row * args.dx_stride + strip.first;
  bool adds = args.adds;
  for (const ProductGradient& product : products)
    for (int64_t n = 0; n < product.matrix->rows(); n += kFloatRows) {
      const int64_t weights = std::min(kFloatRows, product.matrix->rows() - n);
      const PlainRows& plain = product.matrix->plain();
      if (plain.type == Type::kF32 && !product.matrix->is_packed())
        scratch->panels.Fill(reinterpret_cast<const float*>(plain.data) + n * plain.k + strip.first,
                             plain.k, weights, strip.count);
      else
        FillDecoded(*product.matrix, strip, n, weights, scratch);
      FloatProduct part = {.a = product.dout + strip.row * product.stride + n};
      part.a_stride = product.stride;
      part.m = strip.rows;
      part.n = strip.count;
      part.k = weights;
      part.adds = adds;
      part.c = dx;
      part.c_stride = args.dx_stride;
      scratch->multiplier.Run(scratch->panels, part);
      adds = true;
    }
}

void CpuMatMulGradient::Round(std::span<const ProductGradient> products, int64_t rows) {
  rounded_stride_ = 0;
  for (const ProductGradient& product : products)
    rounded_stride_ += kernels::ActRowBytes(kernels::ActFormat::kWords, product.matrix->rows());
  const size_t bytes = static_cast<size_t>(rows) * rounded_stride_;
  if (rounded_.size() < bytes) rounded_ = AlignedBuffer(bytes);
  pool_->ParallelFor(rows, [&](int64_t t, int) {
    uint8_t* to = rounded_.data() + static_cast<size_t>(t) * rounded_stride_;
    for (const ProductGradient& product : products) {
      const int64_t n = product.matrix->rows();
      kernels_.words.round(product.dout + t * product.stride, n,
                           reinterpret_cast<kernels::ActWords*>(to));
      to += kernels::ActRowBytes(kernels::ActFormat::kWords, n);
    }
  });
}

void CpuMatMulGradient::Encode(const Matrix& matrix, const Strip& strip, int64_t n, int64_t weights,
                               size_t stride, Scratch* scratch) const {
  scratch->decoded.resize(static_cast<size_t>(kPanelRows * strip.count));
  scratch->panels.Resize(kWordGroup, strip.count);
  for (int64_t row = 0; row < weights; row += kWordGroup) {
    const int64_t rows = std::min(kWordGroup, weights - row);
    for (int64_t r = 0; r < rows; r += kPanelRows) {
      const float* decoded = scratch->decoded.data();
      matrix.DecodePanel((n + row + r) / kPanelRows, strip.first, strip.count,
                         scratch->decoded.data());
      for (int64_t j = 0; j < strip.count; j += kPanelRows)
        Transpose(decoded + j * kPanelRows, kPanelRows, kPanelRows, kPanelRows,
                  scratch->panels.panel(j / kPanelRows) + r * kPanelRows, kPanelRows);
    }
    for (int64_t j = 0; j < strip.count; j += kPanelRows)
      kernels_.words.encode(scratch->panels.panel(j / kPanelRows), rows,
                            scratch->bytes.data() + static_cast<size_t>(j / kPanelRows) * stride +
                                static_cast<size_t>(row / kWordBlock * kernels_.words.block_bytes));
  }
}

void CpuMatMulGradient::RunWords(std::span<const ProductGradient> products, const Args& args,
                                 const Strip& strip, Scratch* scratch) const {
  const int64_t panels = strip.count / kPanelRows;
  size_t at = 0;  // bytes of a rounded row
  bool adds = args.adds;
  for (const ProductGradient& product : products) {
    for (int64_t n = 0; n < product.matrix->rows(); n += kWordRows) {
      const int64_t weights = std::min(kWordRows, product.matrix->rows() - n);
      kernels::MatMulArgs part = {};
      part.panel_stride = static_cast<size_t>(weights / kWordBlock * kernels_.words.block_bytes);
      const size_t bytes = part.panel_stride * static_cast<size_t>(panels);
      if (scratch->bytes.size() < bytes) scratch->bytes = AlignedBuffer(bytes);
      Encode(*product.matrix, strip, n, weights, part.panel_stride, scratch);
      part.rows = kPanelRows;
      part.k = weights;
      part.act = rounded_.data() + static_cast<size_t>(strip.row) * rounded_stride_ + at +
                 kernels::ActRowBytes(kernels::ActFormat::kWords, n);
      part.act_stride = rounded_stride_;
      part.cols = static_cast<int>(strip.rows);
      part.out_stride = args.dx_stride;
      part.adds = adds;
      part.panels = static_cast<int>(panels);
      part.panel = scratch->bytes.data();
      part.out = args.dx + strip.row * args.dx_stride + strip.first;
      kernels_.words.matmul(part);
      adds = true;
    }
    at += kernels::ActRowBytes(kernels::ActFormat::kWords, product.matrix->rows());
  }
}

}  // namespace slm::ops
