// Products with bfloat16 weights by vdpbf16ps: in each 32-bit lane the second product of a pair is
// added to the sum, then the first, each rounded once, subnormals being zero. All the rest is that
// of AVX-512.
#include <immintrin.h>

#include "base/target.h"
#include "kernels/tables.h"
#include "kernels/tiles.h"

// gcc 12 takes the undefined vectors of its own headers for ours (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace slm::kernels {

SLM_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16")
namespace avx512_bf16 {

constexpr int kTile = 8;            // columns
constexpr int kMaxPanels = 2;       // times kTile sums in registers
constexpr int64_t kStretch = 1024;  // pairs of all panels that stay in the L2 cache

SLM_INLINE __m512bh Broadcast4(const uint8_t* p) {
  int x;
  __builtin_memcpy(&x, p, 4);
  return (__m512bh)_mm512_set1_epi32(x);
}

// Pairs [first, end) of kPanels panels times kCols columns from c0 on, added to what is in out
// unless these are the first.
template <int kPanels, int kCols>
static void Tile(const MatMulArgs& args, int64_t first, int64_t end, int c0) {
  const uint8_t* x[kCols];
  __m512 acc[kPanels][kCols];
  float* out = args.out + c0 * args.out_stride;
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    x[c] = args.act + static_cast<size_t>(c0 + c) * args.act_stride;
    SLM_UNROLL
    for (int p = 0; p < kPanels; ++p)
      acc[p][c] = first > 0   ? _mm512_loadu_ps(out + c * args.out_stride + 16 * p)
                  : args.bias ? _mm512_loadu_ps(args.bias + 16 * p)
                              : _mm512_setzero_ps();
  }
  for (int64_t pair = first; pair < end; ++pair) {
    __m512bh w[kPanels];
    SLM_UNROLL
    for (int p = 0; p < kPanels; ++p)
      w[p] = (__m512bh)_mm512_load_si512(args.panel + static_cast<size_t>(p) * args.panel_stride +
                                         64 * pair);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) {
      const __m512bh a = Broadcast4(x[c] + 4 * pair);
      SLM_UNROLL
      for (int p = 0; p < kPanels; ++p) acc[p][c] = _mm512_dpbf16_ps(acc[p][c], w[p], a);
    }
  }
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    SLM_UNROLL
    for (int p = 0; p < kPanels; ++p)
      _mm512_storeu_ps(out + c * args.out_stride + 16 * p, acc[p][c]);
  }
}

template <int kPanels>
static void Panels(const MatMulArgs& args) {
  const int64_t pairs = (args.k + 1) / 2;
  for (int64_t first = 0; first < pairs; first += kStretch) {
    const int64_t end = pairs - first < kStretch ? pairs : first + kStretch;
    ForTiles<kTile, 4, 2, 1>(
        args.cols, [&](auto cols, int c) { Tile<kPanels, cols.value>(args, first, end, c); });
  }
}

static void MatMul(const MatMulArgs& args) {
  args.panels == kMaxPanels ? Panels<kMaxPanels>(args) : Panels<1>(args);
}

}  // namespace avx512_bf16
SLM_TARGET_END

const KernelTable& Avx512Bf16Table() {
  static const KernelTable table = [] {
    KernelTable t = Avx512Table();
    t.isa = "avx512_bf16";
    t.matmul[static_cast<int>(quant::Type::kBF16)] = {avx512_bf16::MatMul, ActFormat::kBf16, true,
                                                      avx512_bf16::kMaxPanels};
    return t;
  }();
  return table;
}

}  // namespace slm::kernels
