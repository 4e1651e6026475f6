// The specification: integers exact inside a block, one float accumulator per output, blocks in
// ascending order.
#include <cstring>

#include "base/half.h"
#include "base/target.h"
#include "kernels/flush_to_zero.h"
#include "kernels/tables.h"
#include "kernels/tiles.h"

namespace slm::kernels {
namespace scalar {

#include "base/simd_scalar.h"
//
#include "kernels/float_inl.h"

namespace {

using quant::Grid;
using quant::IntegerBlock;

int Dot(const Grid& grid, const uint8_t* code, const int8_t* a, int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += quant::ValueOf(grid, code[i]) * a[i];
  return sum;
}

int PairSum(const int16_t pairs[2]) { return pairs[0] + pairs[1]; }

float AddBlock32(const Grid& grid, const IntegerBlock& w, const Act32& a, float acc) {
  const int dot = Dot(grid, w.code, a.q, 32);
  acc = __builtin_fmaf(HalfToFloat(w.d) * a.d, static_cast<float>(dot), acc);
  if (grid.has_min) acc = __builtin_fmaf(HalfToFloat(w.m), a.sum, acc);
  return acc;
}

float AddBlock256(const Grid& grid, const IntegerBlock& w, const Act256& a, float acc) {
  const int n = grid.sub_block;
  int dot = 0, mins = 0;
  for (int s = 0; s < grid.sub_blocks(); ++s) {
    dot += w.scale[s] * Dot(grid, w.code + s * n, a.q + s * n, n);
    if (!grid.has_min) continue;
    for (int i = 0; i < n / 16; ++i) mins += w.min[s] * PairSum(a.pairs[s * n / 16 + i]);
  }
  acc = __builtin_fmaf(HalfToFloat(w.d) * a.d, static_cast<float>(dot), acc);
  if (grid.has_min) acc = __builtin_fmaf(-(HalfToFloat(w.m) * a.d), static_cast<float>(mins), acc);
  return acc;
}

void MatMulInt8(const MatMulArgs& args) {
  const Grid grid = quant::GridOf(args.type);
  for (int r = 0; r < quant::kPanelRows; ++r) {
    for (int c = 0; c < args.cols; ++c)
      args.out[c * args.out_stride + r] = args.bias ? args.bias[r] : 0;
    for (int64_t b = 0; b < args.k / grid.block; ++b) {
      IntegerBlock w;
      quant::UnpackBlock(args.type, args.panel, b, r, &w);
      for (int c = 0; c < args.cols; ++c) {
        const uint8_t* act = args.act + static_cast<size_t>(c) * args.act_stride;
        float& acc = args.out[c * args.out_stride + r];
        acc = grid.block == 32 ? AddBlock32(grid, w, reinterpret_cast<const Act32*>(act)[b], acc)
                               : AddBlock256(grid, w, reinterpret_cast<const Act256*>(act)[b], acc);
      }
    }
  }
}

// Subnormals are zero, with their sign.
float Flush(float x) { return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0.0f, x) : x; }

// A result counts as subnormal when it would be one had floats no least exponent, as on x86.
float FlushedFma(uint16_t w_bits, uint16_t x_bits, float acc) {
  float w = Flush(BfloatToFloat(w_bits)), x = Flush(BfloatToFloat(x_bits));
  acc = Flush(acc);
  const float sum = __builtin_fmaf(w, x, acc);
  if (__builtin_fabsf(sum) != 0x1p-126f) return Flush(sum);
  // It may have been rounded up to the least normal float: a scale says, which the smaller factor
  // has room for.
  (__builtin_fabsf(w) < __builtin_fabsf(x) ? w : x) *= 0x1p60f;
  const float scaled = __builtin_fmaf(w, x, acc * 0x1p60f);
  return __builtin_fabsf(scaled) < 0x1p-66f ? __builtin_copysignf(0.0f, sum) : sum;
}

void MatMulBf16(const MatMulArgs& args) {
  for (int r = 0; r < quant::kPanelRows; ++r)
    for (int c = 0; c < args.cols; ++c) {
      float acc = args.bias ? args.bias[r] : 0;
      for (int64_t pair = 0; pair < (args.k + 1) / 2; ++pair) {
        uint16_t w[2], x[2];
        std::memcpy(w, args.panel + 64 * pair + 4 * r, 4);
        std::memcpy(x, args.act + static_cast<size_t>(c) * args.act_stride + 4 * pair, 4);
        acc = FlushedFma(w[0], x[0], FlushedFma(w[1], x[1], acc));
      }
      args.out[c * args.out_stride + r] = acc;
    }
}

int64_t ProbeInt8(int64_t rounds) {
  int32_t sum = 0;
  for (int64_t i = 0; i < rounds; ++i) {
    sum += static_cast<int32_t>(i & 127) * 3;
    asm volatile("" : "+r"(sum));
  }
  return rounds;
}

uint64_t ProbeRead(const uint8_t* data, size_t bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t word;
    __builtin_memcpy(&word, data + i, 8);
    sum += word;
  }
  return sum;
}

}  // namespace
}  // namespace scalar

const KernelTable& ScalarTable() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "scalar";
    scalar::InstallFloat(&t);
    t.matmul[static_cast<int>(quant::Type::kBF16)] = {scalar::MatMulBf16, ActFormat::kBf16, true};
    t.probe_int8 = scalar::ProbeInt8;
    t.probe_read = scalar::ProbeRead;
    quant::ForQuantizedTypes([&](quant::Type type) {
      t.matmul[static_cast<int>(type)] = {scalar::MatMulInt8, ActFormatOf(type), true};
    });
    return t;
  }();
  return table;
}

}  // namespace slm::kernels
