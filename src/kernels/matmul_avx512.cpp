// Int8 products for AVX-512 VNNI: a register holds one group of a whole panel, four consecutive k
// of 16 rows, and vpdpbusd adds its products to 32-bit sums. It takes unsigned weights: signed ones
// are shifted by 128, and the sums of the activations take that back. Everything is exact until the
// float step at the end of a block.
#include "base/half.h"
#include "kernels/avx512_intrinsics.h"
#include "kernels/tables.h"

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

constexpr int kTile = 8;   // columns that share a load of weights
constexpr int kChunk = 8;  // units that are unpacked at once: 4 KiB of bytes stay in the L1 cache

SLM_INLINE __m512i LoadVec(const uint8_t* p) { return _mm512_loadu_si512(p); }
SLM_INLINE __m512i Broadcast4(const void* p) {
  int x;
  __builtin_memcpy(&x, p, 4);
  return _mm512_set1_epi32(x);
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

// Where a unit's groups come from: packed bits, or bytes that were unpacked before.
template <Type kType>
struct Packed {
  static constexpr bool kIsPacked = true;
  static constexpr size_t kUnitBytes = quant::GridOf(kType).unit_bytes();
  static SLM_INLINE __m512i Group(const uint8_t* unit, int g) {
    return UnpackGroup<kType>(unit, g);
  }
};
struct Unpacked {
  static constexpr bool kIsPacked = false;
  static constexpr size_t kUnitBytes = 512;
  static SLM_INLINE __m512i Group(const uint8_t* unit, int g) { return LoadVec(unit + 64 * g); }
};

SLM_INLINE __m512i LoadScales(const uint8_t* p) {
  return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// The sum of the activations of sub-block `sub`, as 16-bit parts whose sum it is.
template <int kSubBlock>
SLM_INLINE __m512i PairSum(const int16_t (*pairs)[2], int sub) {
  if (kSubBlock == 16) return Broadcast4(pairs[sub]);
  return _mm512_add_epi16(Broadcast4(pairs[0]), Broadcast4(pairs[1]));
}

// Dot products of sub-block `sub` of a unit with every column. a[c] points at the unit's
// activations, pairs[c] at their pair sums.
template <Type kType, class Source, int kCols>
SLM_INLINE void DotSubBlock(const uint8_t* unit, const int8_t* const* a,
                            const int16_t (*const* pairs)[2], int sub, __m512i* dot) {
  constexpr Grid kGrid = quant::GridOf(kType);
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c)
    dot[c] = kOffset<kType> == 0 ? _mm512_setzero_si512()
                                 : _mm512_madd_epi16(PairSum<kGrid.sub_block>(pairs[c], sub),
                                                     _mm512_set1_epi16(-kOffset<kType>));
  SLM_UNROLL
  for (int i = 0; i < kGrid.sub_block / 4; ++i) {
    // Whole units go through groups 0, 4, 1, 5, ..: both come from one load.
    const int g = kGrid.sub_block == 32 ? i / 2 + 4 * (i % 2) : 4 * sub + i;
    const __m512i w = Source::Group(unit, g);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      dot[c] = _mm512_dpbusd_epi32(dot[c], w, Broadcast4(a[c] + 4 * g));
  }
}

// Blocks of 32: `units` in Source's form, unit_stride apart; the scales of block u are at tail + u
// * tail_stride.
template <Type kType, class Source, int kCols>
SLM_INLINE void Blocks32(const uint8_t* units, size_t unit_stride, const uint8_t* tail,
                         size_t tail_stride, const Act32* const* act, int64_t count,
                         float* const* out) {
  constexpr Grid kGrid = quant::GridOf(kType);
  __m512 acc[kCols];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) acc[c] = _mm512_loadu_ps(out[c]);
  for (int64_t u = 0; u < count; ++u, units += unit_stride, tail += tail_stride) {
    const int8_t* a[kCols];
    const int16_t(*pairs[kCols])[2];
    __m512i dot[kCols];
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) {
      a[c] = act[c][u].q;
      pairs[c] = act[c][u].pairs;
    }
    DotSubBlock<kType, Source, kCols>(units, a, pairs, 0, dot);
    const __m512 d = LoadHalf(tail).x;
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) {
      const __m512 factor = _mm512_mul_ps(d, _mm512_set1_ps(act[c][u].d));
      acc[c] = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(dot[c]), acc[c]);
    }
    if constexpr (kGrid.has_min) {
      const __m512 m = LoadHalf(tail + 32).x;
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c)
        acc[c] = _mm512_fmadd_ps(m, _mm512_set1_ps(act[c][u].sum), acc[c]);
    }
  }
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) _mm512_storeu_ps(out[c], acc[c]);
}

// One block of 256; `block` is the packed block, where the scales are, `units` its units in
// Source's form.
template <Type kType, class Source, int kCols>
SLM_INLINE void Block256(const uint8_t* units, const uint8_t* block, const Act256* const* act,
                         float* const* out) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kSubs = 32 / kGrid.sub_block;  // in a unit
  __m512i total[kCols], mins[kCols];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) total[c] = mins[c] = _mm512_setzero_si512();
  for (int u = 0; u < 8; ++u) {
    const int8_t* a[kCols];
    const int16_t(*pairs[kCols])[2];
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) {
      a[c] = act[c]->q + 32 * u;
      pairs[c] = act[c]->pairs + 2 * u;
    }
    SLM_UNROLL
    for (int s = 0; s < kSubs; ++s) {
      const size_t at = static_cast<size_t>(16 * (u * kSubs + s));
      __m512i dot[kCols];
      DotSubBlock<kType, Source, kCols>(units + static_cast<size_t>(u) * Source::kUnitBytes, a,
                                        pairs, s, dot);
      const __m512i scale = LoadScales(block + kGrid.scales() + at);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c)
        total[c] = _mm512_add_epi32(total[c], _mm512_mullo_epi32(dot[c], scale));
      if constexpr (kGrid.has_min) {
        const __m512i x = LoadScales(block + kGrid.mins() + at);
        const __m512i min = _mm512_or_si512(x, _mm512_slli_epi32(x, 16));  // mins are not negative
        SLM_UNROLL
        for (int c = 0; c < kCols; ++c)
          mins[c] = _mm512_dpwssd_epi32(mins[c], PairSum<kGrid.sub_block>(pairs[c], s), min);
      }
    }
  }
  const __m512 d = LoadHalf(block + kGrid.d()).x;
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    const __m512 da = _mm512_set1_ps(act[c]->d);
    __m512 acc = _mm512_loadu_ps(out[c]);
    acc = _mm512_fmadd_ps(_mm512_mul_ps(d, da), _mm512_cvtepi32_ps(total[c]), acc);
    if constexpr (kGrid.has_min) {
      const __m512 m = LoadHalf(block + kGrid.m()).x;
      acc = _mm512_fnmadd_ps(_mm512_mul_ps(m, da), _mm512_cvtepi32_ps(mins[c]), acc);
    }
    _mm512_storeu_ps(out[c], acc);
  }
}

// `count` blocks from block `first` of the activations on, against kCols columns from c0.
template <Type kType, class Source, int kCols>
static void Columns(const MatMulArgs& args, const uint8_t* units, const uint8_t* blocks,
                    int64_t first, int64_t count, int c0) {
  constexpr Grid kGrid = quant::GridOf(kType);
  const size_t stride =
      Source::kIsPacked ? kGrid.block_bytes() : Source::kUnitBytes * (kGrid.block / 32);
  float* out[kCols];
  const uint8_t* row[kCols];
  for (int c = 0; c < kCols; ++c) {
    out[c] = args.out + (c0 + c) * args.out_stride;
    row[c] = args.act + static_cast<size_t>(c0 + c) * args.act_stride;
  }
  if constexpr (kGrid.block == 32) {
    const Act32* act[kCols];
    for (int c = 0; c < kCols; ++c) act[c] = reinterpret_cast<const Act32*>(row[c]) + first;
    Blocks32<kType, Source, kCols>(units, stride, blocks + kGrid.d(), kGrid.block_bytes(), act,
                                   count, out);
  } else {
    for (int64_t b = 0; b < count; ++b, units += stride, blocks += kGrid.block_bytes()) {
      const Act256* act[kCols];
      for (int c = 0; c < kCols; ++c) act[c] = reinterpret_cast<const Act256*>(row[c]) + first + b;
      Block256<kType, Source, kCols>(units, blocks, act, out);
    }
  }
}

template <Type kType>
static void UnpackBlocks(const uint8_t* block, int64_t count, uint8_t* to) {
  constexpr Grid kGrid = quant::GridOf(kType);
  for (int64_t i = 0; i < count; ++i, block += kGrid.block_bytes())
    for (int u = 0; u < kGrid.block / 32; ++u) {
      const uint8_t* unit = block + static_cast<size_t>(u) * kGrid.unit_bytes();
      SLM_UNROLL
      for (int g = 0; g < 8; ++g, to += 64) _mm512_storeu_si512(to, UnpackGroup<kType>(unit, g));
    }
}

template <Type kType>
static void MatMulInt8(const MatMulArgs& args) {
  constexpr Grid kGrid = quant::GridOf(kType);
  for (int c = 0; c < args.cols; ++c)
    _mm512_storeu_ps(args.out + c * args.out_stride,
                     args.bias ? _mm512_loadu_ps(args.bias) : _mm512_setzero_ps());
  const int64_t blocks = args.k / kGrid.block;
  if (args.cols == 1) {
    Columns<kType, Packed<kType>, 1>(args, args.panel, args.panel, 0, blocks, 0);
    return;
  }
  // Many columns: unpack a stretch of the panel once, then let every tile of columns pass over it.
  constexpr int64_t kStretch = kChunk / (kGrid.block / 32);
  alignas(64) uint8_t units[kChunk * Unpacked::kUnitBytes];
  for (int64_t b = 0; b < blocks; b += kStretch) {
    const int64_t count = blocks - b < kStretch ? blocks - b : kStretch;
    const uint8_t* block = args.panel + static_cast<size_t>(b) * kGrid.block_bytes();
    UnpackBlocks<kType>(block, count, units);
    int c = 0;
    for (; c + kTile <= args.cols; c += kTile)
      Columns<kType, Unpacked, kTile>(args, units, block, b, count, c);
    for (; c + 2 <= args.cols; c += 2) Columns<kType, Unpacked, 2>(args, units, block, b, count, c);
    for (; c < args.cols; ++c) Columns<kType, Unpacked, 1>(args, units, block, b, count, c);
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
  constexpr ActFormat kFormat =
      quant::GridOf(kType).block == 32 ? ActFormat::kAct32 : ActFormat::kAct256;
  table->matmul[static_cast<int>(kType)] = {MatMulInt8<kType>, kFormat, true};
  table->encode[static_cast<int>(kType)] = encoding::Encode<kType>;
}

}  // namespace avx512
SLM_AVX512_END

const KernelTable& Avx512Table() {
  static const KernelTable table = [] {
    using quant::Type;
    KernelTable t = {};
    t.isa = "avx512";
    avx512::InstallFloat(&t);
    t.probe_int8 = avx512::ProbeInt8;
    t.probe_read = avx512::ProbeRead;
    avx512::Install<Type::kQ8_0>(&t);
    avx512::Install<Type::kQ4_0>(&t);
    avx512::Install<Type::kQ4_1>(&t);
    avx512::Install<Type::kQ5_0>(&t);
    avx512::Install<Type::kQ5_1>(&t);
    avx512::Install<Type::kIQ4_NL>(&t);
    avx512::Install<Type::kQ2_K>(&t);
    avx512::Install<Type::kQ3_K>(&t);
    avx512::Install<Type::kQ4_K>(&t);
    avx512::Install<Type::kQ5_K>(&t);
    avx512::Install<Type::kQ6_K>(&t);
    avx512::Install<Type::kIQ4_XS>(&t);
    return t;
  }();
  return table;
}

}  // namespace slm::kernels
