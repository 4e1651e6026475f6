// The operations a forward pass is made of. Row counts are T (tokens of a batch); matrices are
// row-major floats. Memory comes from the backend and is opaque to the caller; the CPU's is
// ordinary memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "ops/kv_layout.h"
#include "ops/matrix.h"

namespace slm {
class ThreadPool;
}

namespace slm::ops {

class Gradients;

enum class Activation { kSilu, kGelu };

// What products with weights of 8 bits or fewer, or of bfloat16, compute in. kServed: as the
// kernels of their type do, activations of 8 bits. kFloats: of decoded weights. kWords: of those
// rounded to 11 bits, and activations to 14, where k is a multiple of kWordBlock; else in floats.
enum class Precision { kServed, kFloats, kWords };

// Which forms of its input a group of products reads.
struct InputForms {
  // Beside f32, which is always there.
  bool bf16 = false, act32 = false, act256 = false, words = false;
  void Add(const Matrix& matrix);
};

// The input rows of products, [T, k], in the forms that were asked for.
struct Input {
  int64_t rows = 0, k = 0;
  InputForms forms;
  float* f32 = nullptr;  // always filled
  uint8_t* bf16 = nullptr;
  uint8_t* act32 = nullptr;
  uint8_t* act256 = nullptr;
  uint8_t* words = nullptr;
  Precision precision = Precision::kServed;  // but for kServed, only f32 and words are read
};

struct Product {
  const Matrix* matrix = nullptr;
  const float* bias = nullptr;  // padded to a multiple of 16 values, or nullptr
  float* out = nullptr;         // [T], rows out_stride apart; written to the next multiple of 16
  int64_t out_stride = 0;
  bool adds = false;  // to what stands in `out`: of products in floats, without a bias
};

// cos and sin of every position's angles, [T, n / 2] each.
struct RopeTable {
  const float* cos = nullptr;
  const float* sin = nullptr;
  int64_t n = 0;  // rotated dimensions of a head
  bool is_interleaved = false;
};

// Makes queries and keys ready, in place, and stores keys and values.
struct StoreArgs {
  int64_t rows = 0;    // T
  float* q = nullptr;  // [T, H, Dh], rows `stride` apart; so are those of k and v
  float* k = nullptr;
  float* v = nullptr;
  int64_t stride = 0;
  int64_t heads = 0;
  const float* q_norm = nullptr;  // [Dh] or nullptr
  const float* k_norm = nullptr;
  float eps = 0;
  RopeTable rope;
  const float* q_scale = nullptr;  // [T]: what queries are multiplied by at last
  KvLayout layout;
  // pages[p] holds positions 64 p..; those that are written exist. No pages: nothing is stored.
  std::span<uint8_t* const> pages;
  int64_t position = 0;  // of row 0; the others follow
};

struct AttentionOp {
  int64_t rows = 0;
  const float* q = nullptr;  // [T, H, Dh], rows q_stride apart
  int64_t q_stride = 0;
  int64_t heads = 0;
  KvLayout layout;
  std::span<uint8_t* const> pages;
  int64_t position = 0;  // of row 0
  int64_t window = 0;    // positions a row sees, itself included; 0: all
  float softcap = 0;
  float* out = nullptr;  // [T, H, Dh], rows out_stride apart
  int64_t out_stride = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // `rows` in the layout that this backend multiplies by; for this backend alone.
  virtual Matrix MakeMatrix(const PlainRows& rows) = 0;
  // The same without a copy: it reads the rows where they lie, or panels that it is given.
  virtual Matrix ViewMatrix(const PlainRows& rows) = 0;

  // out[t] = row ids[t] of the table, times scale.
  virtual void Embed(const PlainRows& table, std::span<const int32_t> ids, float scale,
                     float* out) = 0;
  // input.f32 = norm(x) * w, and its other forms. x has rows of input.k.
  virtual void Norm(const float* x, const float* w, float eps, const Input& input) = 0;
  // The other forms of what already stands in input.f32.
  virtual void Prepare(const Input& input) = 0;
  // Products that share their input.
  virtual void MatMul(const Input& input, std::span<const Product> products) = 0;
  virtual void Store(const StoreArgs& args) = 0;
  virtual void Attention(const AttentionOp& op) = 0;
  // input.f32 = activation(gate) * up and its other forms; gate and up have rows `stride` apart.
  virtual void Gate(Activation activation, const float* gate, const float* up, int64_t stride,
                    const Input& input) = 0;
  // inout += x, both [rows, n]; x, with rows x_stride apart, is first normed by w when w is given.
  virtual void AddTo(const float* x, int64_t x_stride, const float* w, float eps, int64_t rows,
                     int64_t n, float* inout) = 0;
  // Rows of inout, `stride` apart: inout = inout * factor + offset, all of n.
  virtual void MultiplyAdd(const float* factor, const float* offset, int64_t rows, int64_t n,
                           int64_t stride, float* inout) = 0;
  virtual void Softcap(float cap, int64_t n, float* inout) = 0;

  // The operations of the backward pass, for as long as the backend lives.
  virtual Gradients* gradients() = 0;
};

std::unique_ptr<Backend> MakeCpuBackend(const kernels::KernelTable& kernels, ThreadPool* pool);

}  // namespace slm::ops
