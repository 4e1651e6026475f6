// The operations of a backward pass, beside those of backend.h. `d` before a name: the derivative
// of the loss by it. Sums over tokens run in the order of the tokens, one by one, from what stands
// in the result, so that neither the cutting of a batch nor the number of threads changes a bit.
//
// Rows of results have room to the next multiple of 16 values, which may be overwritten, unless a
// comment says otherwise.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kernels/gradients.h"
#include "ops/backend.h"

namespace slm::ops {

// One of the products that read the same rows of input.
struct ProductGradient {
  const Matrix* matrix = nullptr;
  const float* dout = nullptr;  // [T, rows of the matrix], rows `stride` apart
  int64_t stride = 0;
};

// c [m, n] (+)= factor * transpose(a) b, a [T, m], b [T, n]: what a weight of m x n gets from T
// rows. Rows are strides apart.
struct OuterProduct {
  int64_t rows = 0, m = 0, n = 0;
  float factor = 1;
  const float* a = nullptr;
  int64_t a_stride = 0;
  const float* b = nullptr;
  int64_t b_stride = 0;
  float* c = nullptr;
  int64_t c_stride = 0;
  bool adds = false;
};

// Attention of one whole sequence over itself, from position 0 on. q, k, v and what belongs to them
// are [T, heads, Dh], rows `stride` apart.
struct AttentionGradient {
  int64_t rows = 0;  // T
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t window = 0;  // as AttentionOp has it
  float softcap = 0;
  const float* q = nullptr;  // as Backend::Store made them
  const float* k = nullptr;
  const float* v = nullptr;
  int64_t stride = 0;
  const float* dout = nullptr;  // [T, H, Dh], rows dout_stride apart
  int64_t dout_stride = 0;
  float* dq = nullptr;  // set, not added to
  float* dk = nullptr;
  float* dv = nullptr;
};

// What logits cost, the cross entropy: of each row -log softmax(softcap(logits))[label].
struct LossArgs {
  std::span<const int32_t> labels;  // of the rows
  int64_t vocab = 0, stride = 0;
  float softcap = 0;        // 0: none
  float scale = 1;          // of the derivative
  float* logits = nullptr;  // [rows, V]; becomes the derivative
  float* losses = nullptr;  // [rows], not scaled
};

class Gradients {
 public:
  virtual ~Gradients() = default;

  // dx [T, k] (+)= sum over the products of dout W, rows of dx dx_stride apart. In floats; with
  // kWords in those, where the weights are not F32 and both sides have whole blocks of words.
  virtual void MatMul(std::span<const ProductGradient> products, int64_t rows, int64_t k,
                      Precision precision, bool adds, int64_t dx_stride, float* dx) = 0;
  // Memory that this takes for rows with so many numbers of dout each, all products together.
  virtual uint64_t MatMulBytes(int64_t rows, int64_t numbers, Precision precision) const = 0;
  // No rounding up of the rows of c.
  virtual void Outer(const OuterProduct& op) = 0;
  virtual uint64_t OuterBytes(const OuterProduct& op) const = 0;  // of memory, by its sizes alone
  // sums[i] (+)= sum over the rows of a[i] (b[i] - offset[i]); offset may be nullptr.
  virtual void SumProducts(int64_t rows, int64_t n, const float* a, int64_t a_stride,
                           const float* b, int64_t b_stride, const float* offset, bool adds,
                           float* sums) = 0;
  // Of norm(x) * w: dx (+)= what dout makes of it. Rows of each are strides apart.
  virtual void Norm(const float* x, int64_t x_stride, const float* w, float eps, const float* dout,
                    int64_t dout_stride, int64_t rows, int64_t n, bool adds, float* dx,
                    int64_t dx_stride) = 0;
  // Of the same, by w: sums[i] (+)= sum over the rows of dout[i] x[i] / rms(x).
  virtual void NormWeights(const float* x, int64_t x_stride, float eps, const float* dout,
                           int64_t dout_stride, int64_t rows, int64_t n, bool adds,
                           float* sums) = 0;
  // Of activation(gate) * up: gate and up become their derivatives. dout is [T, n].
  virtual void Gate(Activation activation, const float* dout, int64_t dout_stride, int64_t rows,
                    int64_t n, float* gate, float* up, int64_t stride) = 0;
  // Of Backend::Store: args.q and args.k, derivatives by what that made, become those by what it
  // rotated,
  virtual void Rotate(const StoreArgs& args) = 0;
  // and then by what its norms, where there are some, were given: q and k, whose rows are
  // args.stride apart too.
  virtual void HeadNorms(const StoreArgs& args, const float* q, const float* k) = 0;
  virtual void Attention(std::span<const AttentionGradient> sequences) = 0;
  // Memory for sequences of which none is longer than `op`, by its sizes alone.
  virtual uint64_t AttentionBytes(const AttentionGradient& op) const = 0;
  virtual void Loss(const LossArgs& args) = 0;
  // One step of AdamW over n parameters.
  virtual void AdamW(const kernels::AdamStep& step, const float* g, int64_t n, float* m, float* v,
                     float* w) = 0;
};

}  // namespace slm::ops
