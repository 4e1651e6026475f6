// Int8 products for AVX-512 VNNI: a register holds one group of a whole panel, four consecutive k
// of 16 rows, and vpdpbusd adds its products to 32-bit sums. It takes unsigned weights: signed ones
// are shifted by 128, and the sums of the activations take that back. Everything is exact until the
// float step at the end of a block.
#include <bit>
#include <type_traits>

#include "base/half.h"
#include "kernels/avx512_intrinsics.h"
#include "kernels/flush_to_zero.h"
#include "kernels/prefetch.h"
#include "kernels/tables.h"
#include "kernels/tiles.h"

// gcc 12 takes the undefined vectors of its own headers for ours (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace slm::kernels {

SLM_AVX512_BEGIN
namespace avx512 {

#include "kernels/simd_avx512.h"
//
#include "kernels/float_inl.h"
//
#include "quant/encode_inl.h"

using quant::Grid;
using quant::Type;

// Columns that share a load of weights. Of blocks of 32 with a min, which have the most float
// steps, 6 are 3 % faster than 8; of others as fast.
template <Type kType>
constexpr int kTile = quant::GridOf(kType).block == 32 ? 6 : 8;
constexpr int kFewColumns = 8;    // whose activations the L1 cache holds beside a panel
constexpr int kPanelsAtOnce = 2;  // that share a load of activations
constexpr int kMaxPanels = 4;     // that find a stretch of activations in the L2 cache
constexpr int kStretch = 32;      // units of a panel that stay in the L1 cache, at most

SLM_INLINE __m512i LoadVec(const uint8_t* p) { return _mm512_loadu_si512(p); }
SLM_INLINE __m512i Broadcast4(const void* p) {
  int x;
  __builtin_memcpy(&x, p, 4);
  return _mm512_set1_epi32(x);
}
// sum + w . four, the same four activations for every row. In assembly because gcc 12 spends an
// instruction of its own on loading them: up to 5 % of a product of 512 columns.
SLM_INLINE __m512i AddDots(__m512i sum, __m512i w, const int8_t* four) {
#if defined(SLM_EMULATED_AVX512)
  return _mm512_dpbusd_epi32(sum, w, Broadcast4(four));
#else
  using Four = const int32_t __attribute__((may_alias));
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*reinterpret_cast<Four*>(four)));
  return sum;
#endif
}

SLM_INLINE __m512i ShiftRight(__m512i x, int bits) {
  return _mm512_srli_epi16(x, static_cast<unsigned>(bits));
}
SLM_INLINE __m512i ShiftLeft(__m512i x, int bits) {
  return _mm512_slli_epi16(x, static_cast<unsigned>(bits));
}

// The smallest value is -kOffset once codes are made unsigned bytes.
template <Type kType>
constexpr int kOffset = quant::GridOf(kType).bits == 8 || quant::GridOf(kType).is_table
                            ? 128
                            : quant::GridOf(kType).zero;

// Values of group g of a packed unit, plus kOffset.
template <Type kType>
SLM_INLINE __m512i UnpackGroup(const uint8_t* unit, int g) {
  constexpr Grid kGrid = quant::GridOf(kType);
  if constexpr (kGrid.bits == 8)
    return _mm512_xor_si512(LoadVec(unit + 64 * g), _mm512_set1_epi8(-128));
  if constexpr (kGrid.bits <= 3) {
    const __m512i two = ShiftRight(LoadVec(unit + 64 * (g / 4)), 2 * (g % 4));
    const __m512i low = _mm512_and_si512(two, _mm512_set1_epi8(3));
    if constexpr (kGrid.bits == 2) return low;
    const __m512i plane = LoadVec(unit + 64 * 2);
    const __m512i bit = g < 2 ? ShiftLeft(plane, 2 - g) : ShiftRight(plane, g - 2);
    return _mm512_or_si512(low, _mm512_and_si512(bit, _mm512_set1_epi8(4)));
  }
  __m512i nibble = LoadVec(unit + 64 * (g % 4));
  if (g >= 4) nibble = ShiftRight(nibble, 4);
  nibble = _mm512_and_si512(nibble, _mm512_set1_epi8(15));
  if constexpr (kGrid.is_table) {
    const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(quant::kIq4NlValues));
    const __m128i shifted = _mm_xor_si128(table, _mm_set1_epi8(-128));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(shifted), nibble);
  }
  if constexpr (kGrid.bits == 5) {
    const __m512i plane = LoadVec(unit + 64 * 4);
    const __m512i bit = g < 4 ? ShiftLeft(plane, 4 - g) : ShiftRight(plane, g - 4);
    return _mm512_or_si512(nibble, _mm512_and_si512(bit, _mm512_set1_epi8(16)));
  }
  if constexpr (kGrid.bits == 6) {
    const __m512i plane = LoadVec(unit + 64 * (4 + g / 4));
    const int shift = 2 * (g % 4);
    const __m512i bits = shift < 4 ? ShiftLeft(plane, 4 - shift) : ShiftRight(plane, shift - 4);
    return _mm512_or_si512(nibble, _mm512_and_si512(bits, _mm512_set1_epi8(48)));
  }
  return nibble;
}

SLM_INLINE __m512i LoadScales(const uint8_t* p) {
  return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// A block of a panel, as it is packed: Group(u, g) are the codes of group g of unit u, g a
// constant, as unsigned bytes, and Start() turns a broadcast `shift` of the activations into what
// their dot product starts at. Unpacking is done again for every tile of columns: on AMD's Zen 4
// other ports do it than multiply, and a copy that is unpacked already would take twice the cache.
// Without one, 4 to 16 columns are faster by a third and more, 512 of Q4_K by 3 %; of Q6_K, which
// takes most instructions, slower by 3 %.
template <Type kType>
struct Block {
  static constexpr Grid kGrid = quant::GridOf(kType);
  static constexpr size_t kBytes = kGrid.block_bytes();
  static constexpr bool kHasStart = kOffset<kType> != 0;
  const uint8_t* block;

  SLM_INLINE __m512i Group(int unit, int g) const {
    return UnpackGroup<kType>(block + static_cast<size_t>(unit) * kGrid.unit_bytes(), g);
  }
  static SLM_INLINE __m512i Start(__m512i shift) {
    constexpr unsigned kBits =
        kHasStart
            ? static_cast<unsigned>(7 - std::countr_zero(static_cast<unsigned>(kOffset<kType>)))
            : 0;
    return _mm512_srai_epi32(shift, kBits);
  }
  SLM_INLINE __m512i Scale(int sub) const { return LoadScales(block + kGrid.scales() + 16 * sub); }
  // The mins of sub-blocks 2 j and 2 j + 1, 16 bits each.
  SLM_INLINE __m512i Mins(int j) const {
    const uint8_t* p = block + kGrid.mins() + 32 * j;
    return _mm512_or_si512(LoadScales(p), _mm512_slli_epi32(LoadScales(p + 16), 16));
  }
  SLM_INLINE __m512 D() const { return LoadHalf(block + kGrid.d()).x; }
  SLM_INLINE __m512 M() const { return LoadHalf(block + kGrid.m()).x; }
};

// Dot products of groups [first, first + count) of a unit with every column, whose activations of
// the unit are a[c]; `shift` says what each starts at, see Act32.
template <Type kType, int kCols>
SLM_INLINE void Dots(const Block<kType>& w, int unit, int first, int count, const int8_t* const* a,
                     const int32_t* const* shift, __m512i* dot) {
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c)
    dot[c] = Block<kType>::kHasStart ? Block<kType>::Start(Broadcast4(shift[c]))
                                     : _mm512_setzero_si512();
  SLM_UNROLL
  for (int i = 0; i < count; ++i) {
    // Whole units go through groups 0, 4, 1, 5, ..: both come from one load.
    const int g = first + (count == 8 ? i / 2 + 4 * (i % 2) : i);
    const __m512i x = w.Group(unit, g);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) dot[c] = AddDots(dot[c], x, a[c] + 4 * g);
  }
}

// acc[c] += one block of 32 times activations act[c].
template <Type kType, int kCols>
SLM_INLINE void AddBlock32(const Block<kType>& w, bool is_ahead, const Act32* const* act,
                           __m512* acc) {
  const int8_t* a[kCols];
  const int32_t* shift[kCols];
  __m512i dot[kCols];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) a[c] = act[c]->q, shift[c] = &act[c]->shift;
  if (is_ahead) PrefetchUnit<Block<kType>::kBytes, 1, kCols == 1>(w.block + kWeightsAhead, 0);
  Dots<kType, kCols>(w, 0, 0, 8, a, shift, dot);
  const __m512 d = w.D();
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    const __m512 factor = _mm512_mul_ps(d, _mm512_set1_ps(act[c]->d));
    acc[c] = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(dot[c]), acc[c]);
  }
  if constexpr (Block<kType>::kGrid.has_min) {
    const __m512 m = w.M();
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      acc[c] = _mm512_fmadd_ps(m, _mm512_set1_ps(act[c]->sum), acc[c]);
  }
}

// acc[c] += one block of 256 times activations act[c].
template <Type kType, int kCols>
SLM_INLINE void AddBlock256(const Block<kType>& w, bool is_ahead, const Act256* const* act,
                            __m512* acc) {
  constexpr Grid kGrid = Block<kType>::kGrid;
  constexpr int kGroups = kGrid.sub_block / 4, kPairs = kGrid.sub_blocks() / 2;
  __m512i total[kCols];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) total[c] = _mm512_setzero_si512();
  for (int u = 0; u < 8; ++u) {
    if (is_ahead) PrefetchUnit<Block<kType>::kBytes, 8, kCols == 1>(w.block + kWeightsAhead, u);
    SLM_UNROLL
    for (int s = 0; s < 8 / kGroups; ++s) {
      const int sub = 8 / kGroups * u + s;
      const int8_t* a[kCols];
      const int32_t* shift[kCols];
      __m512i dot[kCols];
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        a[c] = act[c]->q + 32 * u;
        shift[c] = (kGrid.sub_block == 16 ? act[c]->shift16 : act[c]->shift32) + sub;
      }
      Dots<kType, kCols>(w, u, s * kGroups, kGroups, a, shift, dot);
      const __m512i scale = w.Scale(sub);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c)
        total[c] = _mm512_add_epi32(total[c], _mm512_mullo_epi32(dot[c], scale));
    }
  }
  __m512 da[kCols];
  const __m512 d = w.D();
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    da[c] = _mm512_set1_ps(act[c]->d);
    acc[c] = _mm512_fmadd_ps(_mm512_mul_ps(d, da[c]), _mm512_cvtepi32_ps(total[c]), acc[c]);
  }
  if constexpr (kGrid.has_min) {
    __m512i mins[kCols];
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) mins[c] = _mm512_setzero_si512();
    SLM_UNROLL
    for (int j = 0; j < kPairs; ++j) {
      const __m512i min = w.Mins(j);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const int16_t* sums = kGrid.sub_block == 16 ? act[c]->sum16 : act[c]->sum32;
        mins[c] = _mm512_dpwssd_epi32(mins[c], min, Broadcast4(sums + 2 * j));
      }
    }
    const __m512 m = w.M();
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      acc[c] = _mm512_fnmadd_ps(_mm512_mul_ps(m, da[c]), _mm512_cvtepi32_ps(mins[c]), acc[c]);
  }
}

// `count` blocks of panel p, from block `first` on, against kCols columns from c0. Unless `first`
// is 0, the sums so far are in the output.
template <Type kType, int kCols>
static void Columns(const MatMulArgs& args, int p, int64_t first, int64_t count, int c0) {
  using Act = std::conditional_t<Block<kType>::kGrid.block == 32, Act32, Act256>;
  const Act* act[kCols];
  __m512 acc[kCols];
  float* out = args.out + c0 * args.out_stride + 16 * p;
  const uint8_t* blocks = args.panel + static_cast<size_t>(p) * args.panel_stride +
                          static_cast<size_t>(first) * Block<kType>::kBytes;
  const __m512 bias = args.bias ? _mm512_loadu_ps(args.bias + 16 * p) : _mm512_setzero_ps();
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    const uint8_t* row = args.act + static_cast<size_t>(c0 + c) * args.act_stride;
    act[c] = reinterpret_cast<const Act*>(row) + first;
    acc[c] = first == 0 ? bias : _mm512_loadu_ps(out + c * args.out_stride);
  }
  // One column of blocks of 32 takes so few instructions that asking would make it slower, and
  // later columns find the weights in a cache.
  const bool is_ahead = c0 == 0 && (kCols > 1 || Block<kType>::kGrid.block == 256);
  for (int64_t b = 0; b < count; ++b, blocks += Block<kType>::kBytes) {
    if constexpr (Block<kType>::kGrid.block == 32)
      AddBlock32<kType, kCols>({blocks}, is_ahead, act, acc);
    else
      AddBlock256<kType, kCols>({blocks}, is_ahead, act, acc);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) ++act[c];
  }
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) _mm512_storeu_ps(out + c * args.out_stride, acc[c]);
}

template <Type kType>
static void MatMulInt8(const MatMulArgs& args) {
  constexpr Grid kGrid = quant::GridOf(kType);
  const int64_t blocks = args.k / kGrid.block;
  // Stretches are the outer loop: their activations stay in the L2 cache, all of a row do not. And
  // some panels' part of one stays in the L1 cache while every tile of columns passes over it.
  constexpr int64_t kMost = kStretch / (kGrid.block / 32);
  const int64_t stretches = args.cols > kFewColumns ? (blocks + kMost - 1) / kMost : 1;
  for (int64_t i = 0, first = 0, end; i < stretches; ++i, first = end) {
    end = blocks * (i + 1) / stretches;
    for (int p = 0; p < args.panels; p += kPanelsAtOnce) {
      const int last = p + kPanelsAtOnce < args.panels ? p + kPanelsAtOnce : args.panels;
      ForTiles<kTile<kType>, 4, 3, 2, 1>(args.cols, [&](auto cols, int c) {
        for (int q = p; q < last; ++q) Columns<kType, cols.value>(args, q, first, end - first, c);
      });
    }
  }
}

static int64_t ProbeInt8(int64_t rounds) {
  constexpr int kChains = 12;
  __m512i sum[kChains];
  SLM_UNROLL
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_epi32(i);
  const __m512i w = _mm512_set1_epi8(3), x = _mm512_set1_epi8(1);
  for (int64_t i = 0; i < rounds; ++i) {
    SLM_UNROLL
    for (int j = 0; j < kChains; ++j) sum[j] = _mm512_dpbusd_epi32(sum[j], w, x);
  }
  __m512i total = sum[0];
  SLM_UNROLL
  for (int i = 1; i < kChains; ++i) total = _mm512_xor_si512(total, sum[i]);
  volatile int keep = _mm512_reduce_add_epi32(total);
  (void)keep;
  return rounds * kChains * 64;
}

static uint64_t ProbeRead(const uint8_t* data, size_t bytes) {
  __m512i sum[4] = {};
  for (size_t i = 0; i < bytes; i += 256) {
    SLM_UNROLL
    for (size_t j = 0; j < 4; ++j) sum[j] = _mm512_xor_si512(sum[j], LoadVec(data + i + 64 * j));
  }
  sum[0] = _mm512_xor_si512(_mm512_xor_si512(sum[0], sum[1]), _mm512_xor_si512(sum[2], sum[3]));
  return static_cast<uint64_t>(_mm512_reduce_add_epi64(sum[0]));
}

template <Type kType>
static void Install(KernelTable* table) {
  table->matmul[static_cast<int>(kType)] = {MatMulInt8<kType>, ActFormatOf(kType), true,
                                            kMaxPanels};
  table->encode[static_cast<int>(kType)] = encoding::Encode<kType>;
}

}  // namespace avx512
SLM_AVX512_END

const KernelTable& Avx512Table() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "avx512";
    avx512::InstallFloat(&t);
    t.probe_int8 = avx512::ProbeInt8;
    t.probe_read = avx512::ProbeRead;
    quant::ForQuantizedTypes([&](auto type) { avx512::Install<type.value>(&t); });
    return t;
  }();
  return table;
}

}  // namespace slm::kernels
