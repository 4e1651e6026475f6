// The functions that compute: single-threaded, on raw pointers, no allocation, no exceptions. One
// table per instruction set; docs/arithmetic.md is the specification that all but `ref` match bit
// for bit.
//
// Vectors of floats need no alignment. Sizes are in elements unless the name says bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/activations.h"
#include "kernels/gradients.h"
#include "kernels/kv_page.h"
#include "quant/packed.h"
#include "quant/type.h"

namespace slm::kernels {

// One panel of up to 16 rows of weights (or several, see MatMulKernel) times `cols` rows of
// activations:
//   out[c * out_stride + r] = bias[r] + sum over k of W[r][k] * act[c][k]
// or, where activations are floats, with what stands in `out` in the place of a bias.
struct MatMulArgs {
  quant::Type type;
  const uint8_t*
      panel;  // packed (quant/packed.h), 64-byte aligned, or plain rows where the table says so
  int rows;   // valid rows; a packed panel has all 16 and writes all 16
  int64_t k;
  const uint8_t* act;
  size_t act_stride;  // bytes between activation rows
  int cols;
  const float* bias;  // `rows` values (packed: 16), or nullptr
  bool adds = false;  // to what stands in `out`: only kF32 and words, without a bias
  float* out;
  int64_t out_stride;
  // Panels that follow each other, 16 rows each; bias and out follow on too.
  int panels = 1;
  size_t panel_stride = 0;  // bytes, a multiple of 64
};

struct MatMulKernel {
  void (*run)(const MatMulArgs& args) = nullptr;
  ActFormat format = ActFormat::kF32;
  bool is_packed = false;
  int max_panels = 1;  // that a call may have
};

// Attention of `heads` query rows over positions [begin, end) of one page, begin < end <= 64:
//   s = q . k, softcapped when softcap > 0; max over positions, then weights exp(s - max), their
//   sum, and out = sum of weight * v, all of this page alone. Pages are merged by attention_merge,
//   from left to right.
struct AttentionArgs {
  KvPage page;
  int64_t head_dim;
  const float* q;  // row h at q + h * q_stride, already scaled
  int64_t q_stride;
  int heads;
  const int* begin;  // per row
  const int* end;
  float softcap;
  float* out;  // row h at out + h * out_stride, head_dim floats
  int64_t out_stride;
  float* max;  // per row
  float* sum;
};

// What `count` pages gave for one query row, `stride` rows apart; a sum below 0 says that the row
// saw nothing of the page.
struct AttentionParts {
  const float* out;  // row i at out + i * stride * head_dim
  const float* max;
  const float* sum;
  int64_t stride;
  int count;
};

// Products in 16-bit integers, for training (docs/arithmetic.md): panels from floats [n][16],
// activations, and products of both as MatMulKernel has them, of any number of panels. n and k are
// multiples of kWordBlock; a panel has block_bytes for each so many elements.
struct WordKernels {
  void (*encode)(const float* w, int64_t n, uint8_t* panel);
  void (*round)(const float* x, int64_t n, ActWords* out);
  void (*matmul)(const MatMulArgs& args);
  int64_t block_bytes;
};

struct KernelTable {
  std::string_view isa;
  std::string_view layout;  // of the panels that its products read: quant::kPanelLayout
  MatMulKernel matmul[32];  // by quant::Type; NF4 has none

  // out[i] = x[i] / sqrt(mean(x^2) + eps) * w[i]
  void (*rms_norm)(const float* x, const float* w, int64_t n, float eps, float* out);
  // The rows of ActFormat::kBf16: n rounded values, and a zero when n is odd.
  void (*round_bf16)(const float* x, int64_t n, uint16_t* out);
  void (*quantize_act32)(const float* x, int64_t n, Act32* out);
  void (*quantize_act256)(const float* x, int64_t n, Act256* out);
  void (*add)(const float* x, int64_t n, float* inout);  // inout += x
  void (*scale)(float factor, int64_t n, float* inout);  // inout *= factor
  // inout = inout * factor + offset, rounded once
  void (*multiply_add)(const float* factor, const float* offset, int64_t n, float* inout);
  void (*softcap)(float cap, int64_t n, float* inout);  // inout = cap * tanh(inout / cap)
  void (*silu_mul)(const float* gate, const float* up, int64_t n, float* out);
  void (*gelu_mul)(const float* gate, const float* up, int64_t n, float* out);  // tanh form of GELU
  // Rotates n/2 pairs by the angles whose cos and sin are given: (x[2i], x[2i + 1]) when
  // interleaved, else (x[i], x[i + n/2]).
  void (*rope)(const float* cos, const float* sin, int64_t n, bool is_interleaved, float* inout);
  // Stores one position of one KV head into its page.
  void (*store_kv)(const float* k, const float* v, int64_t head_dim, int position,
                   const KvPage& page);
  void (*attention)(const AttentionArgs& args);
  // Folds the next pages' (max, sum, out), from first to last, into the running ones.
  void (*attention_merge)(const AttentionParts& parts, int64_t head_dim, float* all_out,
                          float* all_max, float* all_sum);

  // By quant::Type but NF4: TypeTraits::encode_weighted, in the same bits. 16 sub-blocks are
  // encoded at once (16 blocks of Q4_0, two of Q4_K, one of Q6_K); fewer cost the same.
  void (*encode[32])(const float* src, const float* importance, uint8_t* dst, int64_t n);

  // Elements [first, first + count) of the 16 rows of a packed panel as floats, [count][16]: what
  // TypeTraits::decode gives. `first` and `count` are multiples of the type's block.
  void (*decode_panel)(quant::Type type, const uint8_t* panel, int64_t first, int64_t count,
                       float* out);
  WordKernels words;
  GradientKernels gradients;

  // What this CPU can do at best, for `bench`: multiply-adds of 8-bit integers from registers,
  // their count returned, and reading `bytes` (a multiple of 512), their sum returned.
  int64_t (*probe_int8)(int64_t rounds);
  uint64_t (*probe_read)(const uint8_t* data, size_t bytes);
};

// The tables this CPU can run, slowest first: ref (the float reference), scalar (the
// specification), then avx2, avx512 and avx512_bf16, or neon, neon_dotprod and neon_i8mm.
std::span<const KernelTable* const> AvailableTables();

// The best table, or the one that SLM_ISA names; throws kUsage when it names none that this CPU
// has.
const KernelTable& Kernels();
const KernelTable& FindTable(std::string_view isa);

}  // namespace slm::kernels
