#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/thread_pool.h"
#include "kernels/table.h"
#include "ops/backend.h"
#include "ops/cpu/cpu_attention.h"
#include "ops/cpu/cpu_gradients.h"
#include "ops/cpu/for_rows.h"

namespace slm::ops {

using kernels::ActFormat;

void InputForms::Add(const Matrix& matrix) {
  switch (matrix.format()) {
    case ActFormat::kF32:
      break;
    case ActFormat::kBf16:
      bf16 = true;
      break;
    case ActFormat::kAct32:
      act32 = true;
      break;
    case ActFormat::kAct256:
      act256 = true;
      break;
    case ActFormat::kWords:
      words = true;
      break;
  }
}

namespace {

class CpuBackend : public Backend {
 public:
  CpuBackend(const kernels::KernelTable& kernels, ThreadPool* pool)
      : kernels_(kernels), pool_(pool), attention_(kernels, pool) {}

  Matrix MakeMatrix(const PlainRows& rows) override { return Matrix(rows, kernels_, pool_); }
  Matrix ViewMatrix(const PlainRows& rows) override { return Matrix(rows, kernels_); }

  void Embed(const PlainRows& table, std::span<const int32_t> ids, float scale,
             float* out) override {
    const quant::TypeTraits& traits = quant::Traits(table.type);
    ForRows(static_cast<int64_t>(ids.size()), [&](int64_t t) {
      float* row = out + t * table.k;
      const auto id = static_cast<size_t>(ids[static_cast<size_t>(t)]);
      traits.decode(table.data + id * table.row_bytes(), row, table.k);
      if (scale != 1.0f) kernels_.scale(scale, table.k, row);
    });
  }

  void Norm(const float* x, const float* w, float eps, const Input& input) override {
    ForRows(input.rows, [&](int64_t t) {
      kernels_.rms_norm(x + t * input.k, w, input.k, eps, input.f32 + t * input.k);
      PrepareRow(input, t);
    });
  }

  void Prepare(const Input& input) override {
    ForRows(input.rows, [&](int64_t t) { PrepareRow(input, t); });
  }

  void MatMul(const Input& input, std::span<const Product> products) override {
    int64_t panels = 0;
    for (const Product& product : products) panels += product.matrix->panels();
    // Enough chunks that a slow thread holds up little, few enough that claiming them costs
    // nothing.
    const int64_t per_chunk = std::clamp<int64_t>(panels / (16 * pool_->used()) * 2, 1, 16);
    // Where there are few panels, as of an adapter, threads share the rows.
    const int64_t parts = panels >= 2 * pool_->used()
                              ? 1
                              : std::clamp<int64_t>(input.rows / 64, 1, 4 * pool_->used());
    const int64_t rows = (input.rows + parts - 1) / parts;
    const int64_t chunks = (panels + per_chunk - 1) / per_chunk;
    pool_->ParallelFor(chunks * parts, [&](int64_t index, int) {
      const int64_t chunk = index / parts, row = index % parts * rows;
      const int64_t end = std::min(panels, (chunk + 1) * per_chunk);
      int64_t first = 0;  // of the product's panels
      for (const Product& product : products) {
        const int64_t count = product.matrix->panels();
        const int64_t begin = std::max(first, chunk * per_chunk);
        if (begin < std::min(first + count, end) && row < input.rows)
          RunPanels(input, product, begin - first, std::min(first + count, end) - first, row,
                    std::min(rows, input.rows - row));
        first += count;
      }
    });
  }

  void Store(const StoreArgs& args) override {
    const int64_t kv_heads = args.layout.kv_heads, dim = args.layout.head_dim;
    ForRows(args.rows, [&](int64_t t) {
      float* q = args.q + t * args.stride;
      float* k = args.k + t * args.stride;
      const float* v = args.v + t * args.stride;
      for (int64_t h = 0; h < args.heads; ++h) {
        Rotate(args, t, args.q_norm, q + h * dim);
        kernels_.scale(args.q_scale[t], dim, q + h * dim);
      }
      for (int64_t h = 0; h < kv_heads; ++h) Rotate(args, t, args.k_norm, k + h * dim);
      if (args.pages.empty()) return;
      const int64_t position = args.position + t;
      uint8_t* page = args.pages[static_cast<size_t>(position / kernels::kPagePositions)];
      for (int64_t h = 0; h < kv_heads; ++h)
        kernels_.store_kv(k + h * dim, v + h * dim, dim,
                          static_cast<int>(position % kernels::kPagePositions),
                          args.layout.Head(page, h));
    });
  }

  void Attention(const AttentionOp& op) override { attention_.Run(op); }

  void Gate(ops::Activation activation, const float* gate, const float* up, int64_t stride,
            const Input& input) override {
    const auto run = activation == ops::Activation::kSilu ? kernels_.silu_mul : kernels_.gelu_mul;
    ForRows(input.rows, [&](int64_t t) {
      run(gate + t * stride, up + t * stride, input.k, input.f32 + t * input.k);
      PrepareRow(input, t);
    });
  }

  void AddTo(const float* x, int64_t x_stride, const float* w, float eps, int64_t rows, int64_t n,
             float* inout) override {
    ForRows(rows, [&](int64_t t) {
      const float* row = x + t * x_stride;
      if (!w) return kernels_.add(row, n, inout + t * n);
      thread_local std::vector<float> normed;
      normed.resize(static_cast<size_t>(n));
      kernels_.rms_norm(row, w, n, eps, normed.data());
      kernels_.add(normed.data(), n, inout + t * n);
    });
  }

  void MultiplyAdd(const float* factor, const float* offset, int64_t rows, int64_t n,
                   int64_t stride, float* inout) override {
    ForRows(rows, [&](int64_t t) { kernels_.multiply_add(factor, offset, n, inout + t * stride); });
  }

  void Softcap(float cap, int64_t n, float* inout) override { kernels_.softcap(cap, n, inout); }

  Gradients* gradients() override {
    if (!gradients_) gradients_ = MakeCpuGradients(kernels_, pool_);
    return gradients_.get();
  }

 private:
  template <class Body>
  void ForRows(int64_t rows, const Body& body) {
    ops::ForRows(pool_, rows, [&](int64_t t, int) { body(t); });
  }

  void PrepareRow(const Input& input, int64_t t) {
    const float* x = input.f32 + t * input.k;
    const auto row = static_cast<size_t>(t);
    if (input.forms.bf16) {
      uint8_t* to = input.bf16 + row * ActRowBytes(ActFormat::kBf16, input.k);
      kernels_.round_bf16(x, input.k, reinterpret_cast<uint16_t*>(to));
    }
    if (input.forms.act32) {
      uint8_t* to = input.act32 + row * ActRowBytes(ActFormat::kAct32, input.k);
      kernels_.quantize_act32(x, input.k, reinterpret_cast<kernels::Act32*>(to));
    }
    if (input.forms.words) {
      uint8_t* to = input.words + row * ActRowBytes(ActFormat::kWords, input.k);
      kernels_.words.round(x, input.k, reinterpret_cast<kernels::ActWords*>(to));
    }
    if (input.forms.act256) {
      uint8_t* to = input.act256 + row * ActRowBytes(ActFormat::kAct256, input.k);
      kernels_.quantize_act256(x, input.k, reinterpret_cast<kernels::Act256*>(to));
    }
  }

  // Panels [begin, end) times rows [first, first + count).
  void RunPanels(const Input& input, const Product& product, int64_t begin, int64_t end,
                 int64_t first, int64_t count) {
    const Matrix& matrix = *product.matrix;
    // Matrices of floats are exact whatever the precision.
    Precision precision = matrix.is_float() ? Precision::kServed : input.precision;
    if (precision == Precision::kServed && !matrix.has_kernel()) precision = Precision::kFloats;
    const bool is_words = precision == Precision::kWords && input.forms.words;
    const bool is_floats = precision != Precision::kServed && !is_words;
    const ActFormat format = is_words    ? ActFormat::kWords
                             : is_floats ? ActFormat::kF32
                                         : matrix.format();
    SLM_CHECK(!product.adds || (format == ActFormat::kF32 && !product.bias));
    kernels::MatMulArgs args = {};
    args.act = format == ActFormat::kF32     ? reinterpret_cast<const uint8_t*>(input.f32)
               : format == ActFormat::kBf16  ? input.bf16
               : format == ActFormat::kAct32 ? input.act32
               : format == ActFormat::kWords ? input.words
                                             : input.act256;
    args.act_stride = ActRowBytes(format, input.k);
    args.act += static_cast<size_t>(first) * args.act_stride;
    args.cols = static_cast<int>(count);
    args.out_stride = product.out_stride;
    for (int64_t panel = begin; panel < end; panel += args.panels) {
      const int64_t row = panel * quant::kPanelRows;
      if (is_words)
        matrix.SetWordPanels(panel, end, &args);
      else if (is_floats)
        matrix.SetFloatPanels(panel, end, &args);
      else
        matrix.SetPanels(panel, end, &args);
      args.adds = product.adds;
      args.bias = product.bias ? product.bias + row : nullptr;
      args.out = product.out + first * product.out_stride + row;
      is_words ? kernels_.words.matmul(args) : matrix.Run(args);
    }
  }

  void Rotate(const StoreArgs& args, int64_t t, const float* norm, float* head) {
    const int64_t dim = args.layout.head_dim, half = args.rope.n / 2;
    if (norm) kernels_.rms_norm(head, norm, dim, args.eps, head);
    kernels_.rope(args.rope.cos + t * half, args.rope.sin + t * half, args.rope.n,
                  args.rope.is_interleaved, head);
  }

  const kernels::KernelTable& kernels_;
  ThreadPool* pool_;
  CpuAttention attention_;
  std::unique_ptr<Gradients> gradients_;
};

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend(const kernels::KernelTable& kernels, ThreadPool* pool) {
  return std::make_unique<CpuBackend>(kernels, pool);
}

}  // namespace slm::ops
