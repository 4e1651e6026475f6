#include "ops/cpu/cpu_gradients.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/thread_pool.h"
#include "ops/cpu/cpu_attention_gradient.h"
#include "ops/cpu/cpu_matmul_gradient.h"
#include "ops/cpu/float_panels.h"
#include "ops/cpu/for_rows.h"

namespace slm::ops {
namespace {

using quant::kPanelRows;

class CpuGradients : public Gradients {
 public:
  CpuGradients(const kernels::KernelTable& kernels, ThreadPool* pool)
      : kernels_(kernels), pool_(pool), matmul_(kernels, pool) {
    for (int i = 0; i < pool->threads(); ++i) scratch_.emplace_back(kernels);
  }

  void MatMul(std::span<const ProductGradient> products, int64_t rows, int64_t k,
              Precision precision, bool adds, int64_t dx_stride, float* dx) override {
    matmul_.Run(products, {rows, k, precision, adds, dx_stride, dx});
  }

  uint64_t MatMulBytes(int64_t rows, int64_t numbers, Precision precision) const override {
    return matmul_.BytesFor(rows, numbers, precision);
  }

  void Outer(const OuterProduct& op) override {
    turned_.resize(static_cast<size_t>(op.m * op.rows));
    Transpose(op.a, op.a_stride, op.rows, op.m, turned_.data(), op.rows);
    if (op.factor != 1) kernels_.scale(op.factor, op.m * op.rows, turned_.data());
    const int64_t panels = (op.n + kPanelRows - 1) / kPanelRows, each = PanelsOfChunk(panels);
    pool_->ParallelFor((panels + each - 1) / each, [&](int64_t chunk, int thread) {
      Scratch& scratch = scratch_[static_cast<size_t>(thread)];
      const int64_t first = chunk * each * kPanelRows;
      const int64_t n = std::min(each * kPanelRows, op.n - first);
      scratch.panels.Fill(op.b + first, op.b_stride, op.rows, n);
      FloatProduct product = {.a = turned_.data(), .a_stride = op.rows, .m = op.m, .n = n};
      product.k = op.rows;
      product.adds = op.adds;
      product.c = op.c + first;
      product.c_stride = op.c_stride;
      scratch.multiplier.Run(scratch.panels, product);
    });
  }

  uint64_t OuterBytes(const OuterProduct& op) const override {
    const int64_t columns = PanelsOfChunk((op.n + kPanelRows - 1) / kPanelRows) * kPanelRows;
    const int64_t floats = op.m + static_cast<int64_t>(scratch_.size()) * columns;
    return static_cast<uint64_t>(op.rows * floats) * sizeof(float);
  }

  void SumProducts(int64_t rows, int64_t n, const float* a, int64_t a_stride, const float* b,
                   int64_t b_stride, const float* offset, bool adds, float* sums) override {
    constexpr int64_t kColumns = 256;
    pool_->ParallelFor((n + kColumns - 1) / kColumns, [&](int64_t chunk, int) {
      const int64_t begin = chunk * kColumns, end = std::min(n, begin + kColumns);
      if (!adds) std::fill(sums + begin, sums + end, 0.0f);
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t i = begin; i < end; ++i)
          sums[i] +=
              a[t * a_stride + i] * (b[t * b_stride + i] - (offset != nullptr ? offset[i] : 0.0f));
    });
  }

  void Norm(const float* x, int64_t x_stride, const float* w, float eps, const float* dout,
            int64_t dout_stride, int64_t rows, int64_t n, bool adds, float* dx,
            int64_t dx_stride) override {
    ForRows(pool_, rows, [&](int64_t t, int) {
      float* to = dx + t * dx_stride;
      if (!adds) std::fill_n(to, n, 0.0f);
      kernels_.gradients.rms_norm(x + t * x_stride, w, dout + t * dout_stride, n, eps, to);
    });
  }

  void NormWeights(const float* x, int64_t x_stride, float eps, const float* dout,
                   int64_t dout_stride, int64_t rows, int64_t n, bool adds, float* sums) override {
    const int64_t stride = (n + 15) / 16 * 16;
    ones_.resize(std::max(ones_.size(), static_cast<size_t>(stride)), 1.0f);
    normed_.resize(std::max(normed_.size(), static_cast<size_t>(rows * stride)));
    ForRows(pool_, rows, [&](int64_t t, int) {
      kernels_.rms_norm(x + t * x_stride, ones_.data(), n, eps, normed_.data() + t * stride);
    });
    SumProducts(rows, n, dout, dout_stride, normed_.data(), stride, nullptr, adds, sums);
  }

  void Gate(Activation activation, const float* dout, int64_t dout_stride, int64_t rows, int64_t n,
            float* gate, float* up, int64_t stride) override {
    const auto run =
        activation == Activation::kSilu ? kernels_.gradients.silu_mul : kernels_.gradients.gelu_mul;
    ForRows(pool_, rows, [&](int64_t t, int) {
      float* g = gate + t * stride;
      float* u = up + t * stride;
      run(g, u, dout + t * dout_stride, n, g, u);
    });
  }

  void Rotate(const StoreArgs& args) override {
    const int64_t dim = args.layout.head_dim, half = args.rope.n / 2;
    ForRows(pool_, args.rows, [&](int64_t t, int thread) {
      // The way back is the rotation by the opposite angle.
      std::vector<float>& sin = scratch_[static_cast<size_t>(thread)].values;
      sin.resize(static_cast<size_t>(half));
      for (int64_t i = 0; i < half; ++i) sin[static_cast<size_t>(i)] = -args.rope.sin[t * half + i];
      const auto back = [&](float* d) {
        kernels_.rope(args.rope.cos + t * half, sin.data(), args.rope.n, args.rope.is_interleaved,
                      d);
      };
      for (int64_t h = 0; h < args.heads; ++h) {
        float* q = args.q + t * args.stride + h * dim;
        kernels_.scale(args.q_scale[t], dim, q);
        back(q);
      }
      for (int64_t h = 0; h < args.layout.kv_heads; ++h) back(args.k + t * args.stride + h * dim);
    });
  }

  void HeadNorms(const StoreArgs& args, const float* q, const float* k) override {
    const int64_t dim = args.layout.head_dim;
    ForRows(pool_, args.rows, [&](int64_t t, int thread) {
      std::vector<float>& sum = scratch_[static_cast<size_t>(thread)].values;
      const auto back = [&](const float* norm, int64_t heads, const float* x, float* d) {
        for (int64_t at = t * args.stride, h = 0; norm && h < heads; ++h, at += dim) {
          sum.assign(static_cast<size_t>(dim), 0.0f);
          kernels_.gradients.rms_norm(x + at, norm, d + at, dim, args.eps, sum.data());
          std::copy_n(sum.data(), dim, d + at);
        }
      };
      back(args.q_norm, args.heads, q, args.q);
      back(args.k_norm, args.layout.kv_heads, k, args.k);
    });
  }

  void Attention(std::span<const AttentionGradient> sequences) override {
    int64_t heads = 0;
    for (const AttentionGradient& op : sequences) heads += op.kv_heads;
    pool_->ParallelFor(heads, [&](int64_t head, int thread) {
      const AttentionGradient* op = sequences.data();
      for (; head >= op->kv_heads; ++op) head -= op->kv_heads;
      scratch_[static_cast<size_t>(thread)].attention.Run(*op, head);
    });
  }

  uint64_t AttentionBytes(const AttentionGradient& op) const override {
    return scratch_.size() * CpuAttentionGradient::BytesFor(op);
  }

  void Loss(const LossArgs& args) override {
    const auto rows = static_cast<int64_t>(args.labels.size());
    pool_->ParallelFor(rows, [&](int64_t t, int thread) {
      float* row = args.logits + t * args.stride;
      std::vector<float>& capped = scratch_[static_cast<size_t>(thread)].values;
      if (args.softcap > 0) {
        kernels_.softcap(args.softcap, args.vocab, row);
        capped.assign(row, row + args.vocab);
      }
      const int32_t label = args.labels[static_cast<size_t>(t)];
      const float of_label = row[label];
      args.losses[t] = kernels_.gradients.softmax(args.vocab, row) - of_label;
      row[label] -= 1;
      kernels_.scale(args.scale, args.vocab, row);
      if (args.softcap > 0)
        kernels_.gradients.softcap(capped.data(), args.softcap, args.vocab, row);
    });
  }

  void AdamW(const kernels::AdamStep& step, const float* g, int64_t n, float* m, float* v,
             float* w) override {
    constexpr int64_t kChunk = 1 << 14;
    pool_->ParallelFor((n + kChunk - 1) / kChunk, [&](int64_t chunk, int) {
      const int64_t at = chunk * kChunk;
      kernels_.gradients.adamw(step, g + at, std::min(kChunk, n - at), m + at, v + at, w + at);
    });
  }

 private:
  // Few enough columns that all threads have some.
  int64_t PanelsOfChunk(int64_t panels) const {
    return std::clamp<int64_t>(panels / (4 * pool_->used()), 1, 8);
  }

  struct Scratch {
    explicit Scratch(const kernels::KernelTable& kernels)
        : multiplier(kernels), attention(kernels) {}
    FloatMultiplier multiplier;
    FloatPanels panels;
    CpuAttentionGradient attention;
    std::vector<float> values;
  };

  const kernels::KernelTable& kernels_;
  ThreadPool* pool_;
  CpuMatMulGradient matmul_;
  std::vector<Scratch> scratch_;      // per thread
  std::vector<float> turned_;         // Outer: the left side, [m, rows]
  std::vector<float> ones_, normed_;  // NormWeights: [n], and x / rms(x)
};

}  // namespace

std::unique_ptr<Gradients> MakeCpuGradients(const kernels::KernelTable& kernels, ThreadPool* pool) {
  return std::make_unique<CpuGradients>(kernels, pool);
}

}  // namespace slm::ops
