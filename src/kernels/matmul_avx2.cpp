// Int8 products for AVX2. A 32-bit lane holds four consecutive k of one row; vpmaddubsw sums pairs
// into 16 bits, where as many groups of four are added as the type's largest value allows without
// overflow (kDepth), and vpmaddwd with the integer scale widens to 32 bits. Everything is exact
// until the float step at the end of a block.
#include <immintrin.h>

#include <type_traits>

#include "base/half.h"
#include "base/target.h"
#include "kernels/flush_to_zero.h"
#include "kernels/prefetch.h"
#include "kernels/tables.h"
#include "kernels/tiles.h"

namespace slm::kernels {

SLM_TARGET_BEGIN("avx2,fma,f16c")
namespace avx2 {

#include "kernels/simd_avx2.h"
//
#include "kernels/float_inl.h"
//
#include "quant/encode_inl.h"

using quant::Grid;
using quant::Type;

constexpr int kHalves = 2;  // vectors of 8 rows in a panel
constexpr int kTile =
    4;  // columns that share a load of weights: their sums fill half of the registers
constexpr int kFewColumns = 4;  // for as many, unpacking a stretch costs more than it saves
constexpr int kMaxPanels = 4;   // that find a stretch of activations in the L2 cache
constexpr int kPanelsAtOnce =
    2;  // whose unpacked stretch stays in the L1 cache, and which share activations there
constexpr int kStretch = 8;  // units that are unpacked at once

SLM_INLINE __m256i LoadVec(const void* p) {
  return _mm256_load_si256(static_cast<const __m256i*>(p));
}
SLM_INLINE void StoreVec(__m256i x, void* p) { _mm256_store_si256(static_cast<__m256i*>(p), x); }
SLM_INLINE __m256i Broadcast4(const void* p) {
  int x;
  __builtin_memcpy(&x, p, 4);
  return _mm256_set1_epi32(x);
}
// Or gcc 12 makes trees of chains of sums, whose leaves no registers hold.
SLM_INLINE void Keep(__m256i* x) { asm("" : "+x"(*x)); }
SLM_INLINE __m256 LoadHalf8(const uint8_t* p) { return _mm256_cvtph_ps(LoadBytes(p)); }

// Codes of group g, rows 8 h .. 8 h + 7, from a packed unit. Table types give their values.
template <Type kType>
SLM_INLINE __m256i UnpackGroup(const uint8_t* unit, int g, int h) {
  constexpr Grid kGrid = quant::GridOf(kType);
  const uint8_t* p = unit + 32 * h;
  if constexpr (kGrid.bits == 8) return LoadVec(p + 64 * g);
  if constexpr (kGrid.bits <= 3) {
    const __m256i two = _mm256_srli_epi16(LoadVec(p + 64 * (g / 4)), 2 * (g % 4));
    const __m256i low = _mm256_and_si256(two, _mm256_set1_epi8(3));
    if constexpr (kGrid.bits == 2) return low;
    const __m256i plane = LoadVec(p + 64 * 2);
    const __m256i bit = g < 2 ? _mm256_slli_epi16(plane, 2 - g) : _mm256_srli_epi16(plane, g - 2);
    return _mm256_or_si256(low, _mm256_and_si256(bit, _mm256_set1_epi8(4)));
  }
  __m256i nibble = LoadVec(p + 64 * (g % 4));
  if (g >= 4) nibble = _mm256_srli_epi16(nibble, 4);
  nibble = _mm256_and_si256(nibble, _mm256_set1_epi8(15));
  if constexpr (kGrid.is_table) {
    const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(quant::kIq4NlValues));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibble);
  }
  if constexpr (kGrid.bits == 5) {
    const __m256i plane = LoadVec(p + 64 * 4);
    const __m256i bit = g < 4 ? _mm256_slli_epi16(plane, 4 - g) : _mm256_srli_epi16(plane, g - 4);
    return _mm256_or_si256(nibble, _mm256_and_si256(bit, _mm256_set1_epi8(16)));
  }
  if constexpr (kGrid.bits == 6) {
    const __m256i plane = LoadVec(p + 64 * (4 + g / 4));
    const int shift = 2 * (g % 4);
    const __m256i bits =
        shift < 4 ? _mm256_slli_epi16(plane, 4 - shift) : _mm256_srli_epi16(plane, shift - 4);
    return _mm256_or_si256(nibble, _mm256_and_si256(bits, _mm256_set1_epi8(48)));
  }
  return nibble;
}

// Values that do not fit vpmaddubsw's unsigned side as codes.
template <Type kType>
constexpr bool kIsSigned = quant::GridOf(kType).bits == 8 || quant::GridOf(kType).is_table;

// A block of a panel, as it is packed.
template <Type kType, bool kIsAhead = false>
struct PackedBlock {
  static constexpr Grid kGrid = quant::GridOf(kType);
  const uint8_t* block;

  SLM_INLINE void Ahead(int unit) const {
    if (kIsAhead) PrefetchUnit<kGrid.block_bytes(), kGrid.block / 32, true>(block, unit);
  }

  SLM_INLINE __m256i Group(int unit, int g, int h) const {
    return UnpackGroup<kType>(block + static_cast<size_t>(unit) * kGrid.unit_bytes(), g, h);
  }
  // The scale of each row in both 16-bit halves of its lane.
  SLM_INLINE void Scales(int sub, __m256i* scale) const {
    const __m128i rows = LoadBytes(block + kGrid.scales() + 16 * sub);
    const __m256i wide = _mm256_cvtepi8_epi16(_mm_shuffle_epi32(rows, 0xd8));
    scale[0] = _mm256_unpacklo_epi16(wide, wide);
    scale[1] = _mm256_unpackhi_epi16(wide, wide);
  }
  // The mins of sub-blocks 2 j and 2 j + 1.
  SLM_INLINE void Mins(int j, __m256i* min) const {
    const __m128i even = LoadBytes(block + kGrid.mins() + 32 * j);
    const __m128i odd = LoadBytes(block + kGrid.mins() + 32 * j + 16);
    min[0] = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(even, odd));
    min[1] = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(even, odd));
  }
  SLM_INLINE __m256 D(int h) const { return LoadHalf8(block + kGrid.d() + 16 * h); }
  SLM_INLINE __m256 M(int h) const { return LoadHalf8(block + kGrid.m() + 16 * h); }
};

// The same with every vector as it enters the sums. What many columns read of unsigned codes.
template <Type kType>
struct CodeBlock {
  static constexpr Grid kGrid = quant::GridOf(kType);
  static constexpr int kUnits = kGrid.block / 32, kSubs = kGrid.sub_blocks();
  static constexpr int kPairs = kGrid.has_min ? kSubs / 2 : 0;
  __m256i codes[kUnits][8][kHalves];
  __m256i scales[kSubs + 1][kHalves], mins[kPairs + 1][kHalves];
  __m256 d[kHalves], m[kHalves];

  SLM_INLINE void Unpack(const PackedBlock<kType>& from) {
    for (int u = 0; u < kUnits; ++u) SLM_UNROLL
    for (int g = 0; g < 8; ++g)
      for (int h = 0; h < kHalves; ++h) codes[u][g][h] = from.Group(u, g, h);
    for (int s = 0; s < kSubs; ++s) from.Scales(s, scales[s]);
    for (int j = 0; j < kPairs; ++j) from.Mins(j, mins[j]);
    for (int h = 0; h < kHalves; ++h) {
      d[h] = from.D(h);
      if (kGrid.has_min) m[h] = from.M(h);
    }
  }
  SLM_INLINE void Ahead(int) const {}
  SLM_INLINE __m256i Group(int unit, int g, int h) const { return codes[unit][g][h]; }
  SLM_INLINE void Scales(int sub, __m256i* scale) const {
    for (int h = 0; h < kHalves; ++h) scale[h] = scales[sub][h];
  }
  SLM_INLINE void Mins(int j, __m256i* min) const {
    for (int h = 0; h < kHalves; ++h) min[h] = mins[j][h];
  }
  SLM_INLINE __m256 D(int h) const { return d[h]; }
  SLM_INLINE __m256 M(int h) const { return m[h]; }
};

// total[c][h] += scale[h] * dot of every column with groups [first, first + kGroups) of a unit,
// whose activations are a[c]; start[c] is what is added for codes that have a zero, twice 16 bits.
template <Type kType, int kCols, class W>
SLM_INLINE void AddSubBlock(const W& w, int unit, int first, const int8_t* const* a,
                            const __m256i* start, const __m256i* scale, __m256i (*total)[kHalves]) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kGroups = kGrid.sub_block / 4;
  constexpr int kLargest = kIsSigned<kType> ? 128
                           : kGrid.zero     ? kGrid.zero
                                            : (1 << kGrid.bits) - 1;  // of |code - zero|
  constexpr int kFits = 32767 / (2 * 127 * kLargest);
  constexpr int kDepth = kFits < kGroups ? kFits : kGroups;
  static_assert(kDepth >= 1 && (kGrid.zero == 0 || kDepth == kGroups));
  SLM_UNROLL
  for (int run = 0; run < kGroups; run += kDepth) {
    __m256i acc[kCols][kHalves];
    SLM_UNROLL
    for (int i = run; i < run + kDepth; ++i) {
      // Whole units go through groups 0, 4, 1, 5, ..: both come from one load.
      const int g = first + (kGroups == 8 ? i / 2 + 4 * (i % 2) : i);
      __m256i x[kHalves], magnitude[kHalves];
      SLM_UNROLL
      for (int h = 0; h < kHalves; ++h) {
        x[h] = w.Group(unit, g, h);
        Keep(&x[h]);
        if constexpr (kIsSigned<kType>) magnitude[h] = _mm256_abs_epi8(x[h]);
      }
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const __m256i four = Broadcast4(a[c] + 4 * g);
        SLM_UNROLL
        for (int h = 0; h < kHalves; ++h) {
          const __m256i product =
              kIsSigned<kType> ? _mm256_maddubs_epi16(magnitude[h], _mm256_sign_epi8(four, x[h]))
                               : _mm256_maddubs_epi16(x[h], four);
          if (i > run)
            acc[c][h] = _mm256_add_epi16(acc[c][h], product);
          else
            acc[c][h] = kGrid.zero ? _mm256_add_epi16(start[c], product) : product;
          Keep(&acc[c][h]);
        }
      }
    }
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      for (int h = 0; h < kHalves; ++h)
        total[c][h] = _mm256_add_epi32(total[c][h], _mm256_madd_epi16(acc[c][h], scale[h]));
  }
}

// acc[c] += one block of 32 times activations act[c].
template <Type kType, int kCols, class W>
SLM_INLINE void AddBlock(const W& w, const Act32* const* act, __m256 (*acc)[kHalves]) {
  constexpr Grid kGrid = quant::GridOf(kType);
  const __m256i ones[kHalves] = {_mm256_set1_epi16(1), _mm256_set1_epi16(1)};
  w.Ahead(0);
  const int8_t* a[kCols];
  __m256i start[kCols], total[kCols][kHalves];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    a[c] = act[c]->q;
    if constexpr (kGrid.zero != 0) {
      const __m256i sum =
          _mm256_add_epi16(Broadcast4(act[c]->pairs[0]), Broadcast4(act[c]->pairs[1]));
      start[c] = _mm256_mullo_epi16(sum, _mm256_set1_epi16(-kGrid.zero));
    }
    for (int h = 0; h < kHalves; ++h) total[c][h] = _mm256_setzero_si256();
  }
  AddSubBlock<kType, kCols>(w, 0, 0, a, start, ones, total);
  SLM_UNROLL
  for (int h = 0; h < kHalves; ++h) {
    const __m256 d = w.D(h);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) {
      const __m256 factor = _mm256_mul_ps(d, _mm256_set1_ps(act[c]->d));
      acc[c][h] = _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(total[c][h]), acc[c][h]);
    }
    if constexpr (kGrid.has_min) {
      const __m256 m = w.M(h);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c)
        acc[c][h] = _mm256_fmadd_ps(m, _mm256_set1_ps(act[c]->sum), acc[c][h]);
    }
  }
}

// acc[c] += one block of 256 times activations act[c].
template <Type kType, int kCols, class W>
SLM_INLINE void AddBlock(const W& w, const Act256* const* act, __m256 (*acc)[kHalves]) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kSubs = 32 / kGrid.sub_block, kPairs = kGrid.sub_blocks() / 2;  // of a unit, of all
  // What the zero takes off, of every sub-block.
  alignas(32) int16_t starts[kCols][16][2];
  if constexpr (kGrid.zero != 0) {
    static_assert(kGrid.sub_block == 16);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      for (int i = 0; i < 2; ++i) {
        const __m256i sums =
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(act[c]->pairs[8 * i]));
        StoreVec(_mm256_mullo_epi16(sums, _mm256_set1_epi16(-kGrid.zero)), starts[c][8 * i]);
      }
  }
  __m256i total[kCols][kHalves];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c)
    for (int h = 0; h < kHalves; ++h) total[c][h] = _mm256_setzero_si256();
  for (int u = 0; u < 8; ++u) {
    w.Ahead(u);
    const int8_t* a[kCols];
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) a[c] = act[c]->q + 32 * u;
    SLM_UNROLL
    for (int s = 0; s < kSubs; ++s) {
      const int sub = kSubs * u + s;
      __m256i scale[kHalves], start[kCols];
      w.Scales(sub, scale);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c)
        if (kGrid.zero != 0) start[c] = Broadcast4(starts[c][sub]);
      AddSubBlock<kType, kCols>(w, u, s * kGrid.sub_block / 4, a, start, scale, total);
    }
  }
  SLM_UNROLL
  for (int h = 0; h < kHalves; ++h) {
    const __m256 d = w.D(h);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      acc[c][h] = _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(act[c]->d)),
                                  _mm256_cvtepi32_ps(total[c][h]), acc[c][h]);
  }
  if constexpr (kGrid.has_min) {
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      for (int h = 0; h < kHalves; ++h) total[c][h] = _mm256_setzero_si256();
    SLM_UNROLL
    for (int j = 0; j < kPairs; ++j) {
      __m256i min[kHalves];
      w.Mins(j, min);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const __m256i sums =
            Broadcast4((kGrid.sub_block == 16 ? act[c]->sum16 : act[c]->sum32) + 2 * j);
        for (int h = 0; h < kHalves; ++h) {
          total[c][h] = _mm256_add_epi32(total[c][h], _mm256_madd_epi16(sums, min[h]));
          Keep(&total[c][h]);
        }
      }
    }
    SLM_UNROLL
    for (int h = 0; h < kHalves; ++h) {
      const __m256 m = w.M(h);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c)
        acc[c][h] = _mm256_fnmadd_ps(_mm256_mul_ps(m, _mm256_set1_ps(act[c]->d)),
                                     _mm256_cvtepi32_ps(total[c][h]), acc[c][h]);
    }
  }
}

// Of signed values, what many columns read: 16 bits each, times their scale. So there is nothing to
// do but vpmaddwd and a sum, and no sign to move. A lane holds elements 0 and 2 of a group of four,
// or 1 and 3.
template <Type kType>
struct WordBlock {
  static constexpr Grid kGrid = quant::GridOf(kType);
  static constexpr int kUnits = kGrid.block / 32;
  __m256i words[kUnits][8][2][kHalves];
  __m256 d[kHalves];

  SLM_INLINE void Unpack(const PackedBlock<kType>& from) {
    static_assert(kGrid.sub_block == 32 && !kGrid.has_min);
    for (int u = 0; u < kUnits; ++u) {
      __m256i scale[kHalves];
      if constexpr (kGrid.has_scales()) from.Scales(u, scale);
      SLM_UNROLL
      for (int g = 0; g < 8; ++g)
        for (int h = 0; h < kHalves; ++h) {
          const __m256i x = from.Group(u, g, h);
          __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8);
          __m256i odd = _mm256_srai_epi16(x, 8);
          if constexpr (kGrid.has_scales()) {
            even = _mm256_mullo_epi16(even, scale[h]);
            odd = _mm256_mullo_epi16(odd, scale[h]);
          }
          words[u][g][0][h] = even;
          words[u][g][1][h] = odd;
        }
    }
    for (int h = 0; h < kHalves; ++h) d[h] = from.D(h);
  }
};

// The activations of a block as WordBlock meets them: lane g of words[u][odd] is of group g.
template <int kUnits>
struct WordAct {
  __m256i words[kUnits][2];
  float d;

  template <class Act>
  SLM_INLINE void Unpack(const Act& from) {
    for (int u = 0; u < kUnits; ++u) {
      const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from.q + 32 * u));
      words[u][0] = _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8);
      words[u][1] = _mm256_srai_epi16(x, 8);
    }
    d = from.d;
  }
};

template <Type kType, int kCols, int kUnits>
SLM_INLINE void AddBlock(const WordBlock<kType>& w, const WordAct<kUnits>* const* act,
                         __m256 (*acc)[kHalves]) {
  __m256i total[kCols][kHalves];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c)
    for (int h = 0; h < kHalves; ++h) total[c][h] = _mm256_setzero_si256();
  for (int u = 0; u < kUnits; ++u) {
    SLM_UNROLL
    for (int i = 0; i < 16; ++i) {
      __m256i x[kHalves];
      SLM_UNROLL
      for (int h = 0; h < kHalves; ++h) {
        x[h] = w.words[u][i / 2][i % 2][h];
        Keep(&x[h]);
      }
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const auto* lanes = reinterpret_cast<const uint8_t*>(&act[c]->words[u][i % 2]);
        const __m256i two = Broadcast4(lanes + 4 * (i / 2));
        SLM_UNROLL
        for (int h = 0; h < kHalves; ++h) {
          total[c][h] = _mm256_add_epi32(total[c][h], _mm256_madd_epi16(x[h], two));
          Keep(&total[c][h]);
        }
      }
    }
  }
  SLM_UNROLL
  for (int h = 0; h < kHalves; ++h)
    for (int c = 0; c < kCols; ++c)
      acc[c][h] = _mm256_fmadd_ps(_mm256_mul_ps(w.d[h], _mm256_set1_ps(act[c]->d)),
                                  _mm256_cvtepi32_ps(total[c][h]), acc[c][h]);
}

// Blocks [first, first + count) of panel p against kCols columns from c0, whose activations of
// these blocks are act[c]; block(i) is the i-th of them. Unless `first` is 0, the sums so far are
// in the output.
template <Type kType, int kCols, class Act, class BlockAt>
SLM_INLINE void Columns(const MatMulArgs& args, int p, int64_t first, int64_t count, int c0,
                        const Act* const* activations, const BlockAt& block) {
  const Act* act[kCols];
  __m256 acc[kCols][kHalves];
  float* out = args.out + c0 * args.out_stride + 16 * p;
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    act[c] = activations[c];
    for (int h = 0; h < kHalves; ++h)
      acc[c][h] = first > 0   ? _mm256_loadu_ps(out + c * args.out_stride + 8 * h)
                  : args.bias ? _mm256_loadu_ps(args.bias + 16 * p + 8 * h)
                              : _mm256_setzero_ps();
  }
  for (int64_t b = 0; b < count; ++b) {
    AddBlock<kType, kCols>(block(b), act, acc);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) ++act[c];
  }
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c)
    for (int h = 0; h < kHalves; ++h)
      _mm256_storeu_ps(out + c * args.out_stride + 8 * h, acc[c][h]);
}

template <Type kType>
using ActOf = std::conditional_t<quant::GridOf(kType).block == 32, Act32, Act256>;

// The activations of column c from block `first` on.
template <Type kType>
SLM_INLINE const ActOf<kType>* ActAt(const MatMulArgs& args, int c, int64_t first) {
  const uint8_t* row = args.act + static_cast<size_t>(c) * args.act_stride;
  return reinterpret_cast<const ActOf<kType>*>(row) + first;
}

template <Type kType>
static void FewColumns(const MatMulArgs& args) {
  ForTiles<kTile, 2, 1>(args.cols, [&](auto cols, int c0) {
    // Blocks of 32 take few instructions: asking for them makes Q4_0 3 to 8 % slower; those with a
    // fifth bit take more, and gain.
    constexpr bool kIsAhead =
        cols.value == 1 && (quant::GridOf(kType).block == 256 || quant::GridOf(kType).bits == 5);
    using Block = PackedBlock<kType, kIsAhead>;
    const ActOf<kType>* act[cols.value];
    for (int c = 0; c < cols.value; ++c) act[c] = ActAt<kType>(args, c0 + c, 0);
    for (int p = 0; p < args.panels; ++p) {
      const uint8_t* blocks = args.panel + static_cast<size_t>(p) * args.panel_stride;
      Columns<kType, cols.value>(args, p, 0, args.k / Block::kGrid.block, c0, act, [&](int64_t i) {
        return Block{blocks + static_cast<size_t>(i) * Block::kGrid.block_bytes()};
      });
    }
  });
}

template <Type kType>
static void MatMulInt8(const MatMulArgs& args) {
  if (args.cols <= kFewColumns) return FewColumns<kType>(args);
  // Stretches are the outer loop: their activations stay in the L2 cache, all of a row do not. Some
  // panels' part of one is unpacked, then every tile of columns passes over it.
  using Unpacked = std::conditional_t<kIsSigned<kType>, WordBlock<kType>, CodeBlock<kType>>;
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kUnits = kGrid.block / 32, kBlocks = kStretch / kUnits;
  const int64_t blocks = args.k / kGrid.block;
  Unpacked unpacked[kPanelsAtOnce][kBlocks];
  for (int64_t first = 0; first < blocks; first += kBlocks) {
    const int64_t count = blocks - first < kBlocks ? blocks - first : kBlocks;
    for (int p = 0; p < args.panels; p += kPanelsAtOnce) {
      const int panels = args.panels - p < kPanelsAtOnce ? args.panels - p : kPanelsAtOnce;
      for (int i = 0; i < panels; ++i) {
        const uint8_t* block = args.panel + static_cast<size_t>(p + i) * args.panel_stride +
                               static_cast<size_t>(first) * kGrid.block_bytes();
        for (int64_t b = 0; b < count; ++b, block += kGrid.block_bytes())
          unpacked[i][b].Unpack({block});
      }
      ForTiles<kTile, 2, 1>(args.cols, [&](auto cols, int c0) {
        using Act = std::conditional_t<kIsSigned<kType>, WordAct<kUnits>, ActOf<kType>>;
        const Act* act[cols.value];
        Act words[kIsSigned<kType> ? cols.value : 1][kBlocks];
        for (int c = 0; c < cols.value; ++c) {
          const ActOf<kType>* from = ActAt<kType>(args, c0 + c, first);
          if constexpr (kIsSigned<kType>) {
            for (int64_t b = 0; b < count; ++b) words[c][b].Unpack(from[b]);
            act[c] = words[c];
          } else {
            act[c] = from;
          }
        }
        for (int i = 0; i < panels; ++i)
          Columns<kType, cols.value>(args, p + i, first, count, c0, act,
                                     [&](int64_t b) -> const Unpacked& { return unpacked[i][b]; });
      });
    }
  }
}

static int64_t ProbeInt8(int64_t rounds) {
  constexpr int kChains = 10;
  __m256i sum[kChains];
  SLM_UNROLL
  for (int i = 0; i < kChains; ++i) sum[i] = _mm256_set1_epi16(static_cast<int16_t>(i));
  __m256i w = _mm256_set1_epi8(3);
  const __m256i x = _mm256_set1_epi8(1);
  for (int64_t i = 0; i < rounds; ++i) {
    SLM_UNROLL
    for (int j = 0; j < kChains; ++j) {
      asm volatile("" : "+x"(w));  // or the product would be computed once
      sum[j] = _mm256_add_epi16(sum[j], _mm256_maddubs_epi16(w, x));
    }
  }
  SLM_UNROLL
  for (int i = 0; i < kChains; ++i) asm volatile("" : "+x"(sum[i]));
  return rounds * kChains * 32;
}

static uint64_t ProbeRead(const uint8_t* data, size_t bytes) {
  __m256i sum[4] = {};
  for (size_t i = 0; i < bytes; i += 128) {
    SLM_UNROLL
    for (size_t j = 0; j < 4; ++j) sum[j] = _mm256_xor_si256(sum[j], LoadVec(data + i + 32 * j));
  }
  sum[0] = _mm256_xor_si256(_mm256_xor_si256(sum[0], sum[1]), _mm256_xor_si256(sum[2], sum[3]));
  return static_cast<uint64_t>(_mm256_extract_epi64(sum[0], 0));
}

template <Type kType>
static void Install(KernelTable* table) {
  table->matmul[static_cast<int>(kType)] = {MatMulInt8<kType>, ActFormatOf(kType), true,
                                            kMaxPanels};
  table->encode[static_cast<int>(kType)] = encoding::Encode<kType>;
}

}  // namespace avx2
SLM_TARGET_END

const KernelTable& Avx2Table() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "avx2";
    avx2::InstallFloat(&t);
    t.probe_int8 = avx2::ProbeInt8;
    t.probe_read = avx2::ProbeRead;
    quant::ForQuantizedTypes([&](auto type) { avx2::Install<type.value>(&t); });
    return t;
  }();
  return table;
}

}  // namespace slm::kernels
