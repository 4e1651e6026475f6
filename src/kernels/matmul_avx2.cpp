// Int8 products for AVX2. A 32-bit lane holds four consecutive k of one row; vpmaddubsw sums pairs
// into 16 bits, where as many groups of four are added as the type's largest value allows without
// overflow (kDepth), and vpmaddwd with the integer scale widens to 32 bits. Signed weights that
// many columns meet are 16 bits from the start. Everything is exact until the float step at the end
// of a block.
#include <immintrin.h>

#include <type_traits>
#include <utility>

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

// Columns that share a load of weights: their sums fill half of the registers.
constexpr int kTile = 4;
constexpr int kFewColumns = 8;  // for as many, unpacking a stretch costs more than it saves
constexpr int kMaxPanels = 4;   // whose unpacked stretch stays near, and which share activations
// Units that are unpacked at once.
template <Type kType>
constexpr int kStretch = quant::GridOf(kType).block == 32 ? 16 : 8;

// f(0), .., f(kCount - 1), each an integral_constant. For arrays of vectors: gcc 12 unrolls loops
// in loops so late that what they index stays in memory.
template <int kCount, class F>
SLM_INLINE void ForIndices(const F& f) {
  const auto call = [&]<int... i>(std::integer_sequence<int, i...>) SLM_INLINED {
    (f(std::integral_constant<int, i>()), ...);
  };
  call(std::make_integer_sequence<int, kCount>());
}

// Integers of the 16 rows of a panel: a 32-bit lane a row. As V16 it is a struct of two and no
// array, which gcc 12 leaves in memory when it is slow to unroll.
struct Rows {
  __m256i low, high;
};

SLM_INLINE __m256i LoadVec(const uint8_t* p) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
}
SLM_INLINE Rows LoadRows(const uint8_t* p) { return {LoadVec(p), LoadVec(p + 32)}; }
// Member by member: gcc 12 copies a struct by halves of registers, and waits for them.
template <class T>
SLM_INLINE T Get(const T& in_memory) {
  return {in_memory.low, in_memory.high};
}
SLM_INLINE Rows ZeroRows() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
SLM_INLINE __m256i Broadcast4(const void* p) {
  int x;
  __builtin_memcpy(&x, p, 4);
  return _mm256_set1_epi32(x);
}
// Or gcc 12 makes trees of chains of sums, whose leaves no registers hold, and loads again what is
// used again.
SLM_INLINE void Keep(Rows* x) { asm("" : "+x"(x->low), "+x"(x->high)); }

SLM_INLINE Rows And(Rows x, int8_t mask) {
  const __m256i m = _mm256_set1_epi8(mask);
  return {_mm256_and_si256(x.low, m), _mm256_and_si256(x.high, m)};
}
SLM_INLINE Rows Or(Rows a, Rows b) {
  return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
SLM_INLINE Rows Right(Rows x, int bits) {
  return {_mm256_srli_epi16(x.low, bits), _mm256_srli_epi16(x.high, bits)};
}
SLM_INLINE Rows Left(Rows x, int bits) {
  return {_mm256_slli_epi16(x.low, bits), _mm256_slli_epi16(x.high, bits)};
}
SLM_INLINE Rows Add16(Rows a, Rows b) {
  return {_mm256_add_epi16(a.low, b.low), _mm256_add_epi16(a.high, b.high)};
}
SLM_INLINE Rows Add32(Rows a, Rows b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
SLM_INLINE Rows Madd(Rows a, Rows b) {
  return {_mm256_madd_epi16(a.low, b.low), _mm256_madd_epi16(a.high, b.high)};
}
SLM_INLINE V16 ToFloat(Rows x) { return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)}; }

// Codes of group g of a packed unit. Table types give their values.
template <Type kType>
SLM_INLINE Rows UnpackGroup(const uint8_t* unit, int g) {
  constexpr Grid kGrid = quant::GridOf(kType);
  if constexpr (kGrid.bits == 8) return LoadRows(unit + 64 * g);
  if constexpr (kGrid.bits <= 3) {
    const Rows low = And(Right(LoadRows(unit + 64 * (g / 4)), 2 * (g % 4)), 3);
    if constexpr (kGrid.bits == 2) return low;
    const Rows plane = LoadRows(unit + 64 * 2);
    return Or(low, And(g < 2 ? Left(plane, 2 - g) : Right(plane, g - 2), 4));
  }
  Rows nibble = LoadRows(unit + 64 * (g % 4));
  if (g >= 4) nibble = Right(nibble, 4);
  nibble = And(nibble, 15);
  if constexpr (kGrid.is_table) {
    const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(quant::kIq4NlValues));
    const __m256i table = _mm256_broadcastsi128_si256(values);
    return {_mm256_shuffle_epi8(table, nibble.low), _mm256_shuffle_epi8(table, nibble.high)};
  }
  if constexpr (kGrid.bits == 5) {
    const Rows plane = LoadRows(unit + 64 * 4);
    return Or(nibble, And(g < 4 ? Left(plane, 4 - g) : Right(plane, g - 4), 16));
  }
  if constexpr (kGrid.bits == 6) {
    const Rows plane = LoadRows(unit + 64 * (4 + g / 4));
    const int shift = 2 * (g % 4);
    return Or(nibble, And(shift < 4 ? Left(plane, 4 - shift) : Right(plane, shift - 4), 48));
  }
  return nibble;
}

// Values that do not fit vpmaddubsw's unsigned side as codes.
template <Type kType>
constexpr bool kIsSigned = quant::GridOf(kType).bits == 8 || quant::GridOf(kType).is_table;

// A block of a panel, as it is packed.
template <Type kType>
struct PackedBlock {
  static constexpr Grid kGrid = quant::GridOf(kType);
  const uint8_t* block;
  const uint8_t* ahead = nullptr;  // what will be read later, to be asked for meanwhile

  SLM_INLINE void Ahead(int unit) const {
    if (ahead) PrefetchUnit<kGrid.block_bytes(), kGrid.block / 32, true>(ahead, unit);
  }
  SLM_INLINE Rows Group(int unit, int g) const {
    return UnpackGroup<kType>(block + static_cast<size_t>(unit) * kGrid.unit_bytes(), g);
  }
  // The scale of each row in both 16-bit halves of its lane.
  SLM_INLINE Rows Scales(int sub) const {
    const __m128i rows = LoadBytes(block + kGrid.scales() + 16 * sub);
    const __m256i wide = _mm256_cvtepi8_epi16(_mm_shuffle_epi32(rows, 0xd8));
    return {_mm256_unpacklo_epi16(wide, wide), _mm256_unpackhi_epi16(wide, wide)};
  }
  // The mins of sub-blocks 2 j and 2 j + 1.
  SLM_INLINE Rows Mins(int j) const {
    const __m128i even = LoadBytes(block + kGrid.mins() + 32 * j);
    const __m128i odd = LoadBytes(block + kGrid.mins() + 32 * j + 16);
    return {_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(even, odd)),
            _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(even, odd))};
  }
  SLM_INLINE V16 D() const { return LoadHalf(block + kGrid.d()); }
  SLM_INLINE V16 M() const { return LoadHalf(block + kGrid.m()); }
};

// The same with every vector as it enters the sums. What many columns read of unsigned codes.
template <Type kType>
struct CodeBlock {
  static constexpr Grid kGrid = quant::GridOf(kType);
  static constexpr int kUnits = kGrid.block / 32, kSubs = kGrid.sub_blocks();
  static constexpr int kPairs = kGrid.has_min ? kSubs / 2 : 0;
  Rows codes[kUnits][8];
  Rows scales[kSubs + 1], mins[kPairs + 1];
  V16 d, m;

  SLM_INLINE void Unpack(const PackedBlock<kType>& from) {
    for (int u = 0; u < kUnits; ++u) {
      SLM_UNROLL
      for (int g = 0; g < 8; ++g) codes[u][g] = from.Group(u, g);
    }
    for (int s = 0; s < kSubs; ++s) scales[s] = from.Scales(s);
    for (int j = 0; j < kPairs; ++j) mins[j] = from.Mins(j);
    d = from.D();
    if (kGrid.has_min) m = from.M();
  }
  SLM_INLINE void Ahead(int) const {}
  SLM_INLINE Rows Group(int unit, int g) const { return Get(codes[unit][g]); }
  SLM_INLINE Rows Scales(int sub) const { return Get(scales[sub]); }
  SLM_INLINE Rows Mins(int j) const { return Get(mins[j]); }
  SLM_INLINE V16 D() const { return Get(d); }
  SLM_INLINE V16 M() const { return Get(m); }
};

// Sums of pairs of products of the four elements of a group.
template <Type kType>
SLM_INLINE Rows Products(Rows w, Rows magnitude, __m256i four) {
  if constexpr (kIsSigned<kType>)
    return {_mm256_maddubs_epi16(magnitude.low, _mm256_sign_epi8(four, w.low)),
            _mm256_maddubs_epi16(magnitude.high, _mm256_sign_epi8(four, w.high))};
  return {_mm256_maddubs_epi16(w.low, four), _mm256_maddubs_epi16(w.high, four)};
}

// total[c] += scale * dot of every column with the groups of a sub-block, from `first` on, of a
// unit, whose activations are a[c]; start[c] is what is added for codes that have a zero, twice 16
// bits.
template <Type kType, int kCols, class W>
SLM_INLINE void AddSubBlock(const W& w, int unit, int first, const int8_t* const* a,
                            const __m256i* start, Rows scale, Rows* total) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kGroups = kGrid.sub_block / 4;
  constexpr int kLargest = kIsSigned<kType> ? 128
                           : kGrid.zero     ? kGrid.zero
                                            : (1 << kGrid.bits) - 1;  // of |code - zero|
  constexpr int kFits = 32767 / (2 * 127 * kLargest);
  constexpr int kDepth = kFits < kGroups ? kFits : kGroups;
  static_assert(kDepth >= 1 && kGroups % kDepth == 0 && (kGrid.zero == 0 || kDepth == kGroups));
  Rows acc[kCols];
  ForIndices<kGroups>([&](auto i) SLM_INLINED {
    // Whole units go through groups 0, 4, 1, 5, ..: both come from one load.
    const int g = first + (kGroups == 8 ? i / 2 + 4 * (i % 2) : i);
    Rows x = w.Group(unit, g);
    Keep(&x);
    Rows magnitude = x;
    if constexpr (kIsSigned<kType>) magnitude = {_mm256_abs_epi8(x.low), _mm256_abs_epi8(x.high)};
    ForIndices<kCols>([&](auto c) SLM_INLINED {
      const Rows product = Products<kType>(x, magnitude, Broadcast4(a[c] + 4 * g));
      if constexpr (i % kDepth > 0)
        acc[c] = Add16(acc[c], product);
      else if constexpr (kGrid.zero != 0)
        acc[c] = Add16({start[c], start[c]}, product);
      else
        acc[c] = product;
      Keep(&acc[c]);
      if constexpr (i % kDepth == kDepth - 1) total[c] = Add32(total[c], Madd(acc[c], scale));
    });
  });
}

// acc[c] += one block of 32 times activations act[c]. `acc` is memory: registers are for the block.
template <Type kType, int kCols, class W>
SLM_INLINE void AddBlock(const W& w, const Act32* const* act, V16* acc) {
  constexpr Grid kGrid = quant::GridOf(kType);
  const __m256i one = _mm256_set1_epi16(1);
  w.Ahead(0);
  const int8_t* a[kCols];
  __m256i start[kCols];
  Rows total[kCols];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    a[c] = act[c]->q;
    total[c] = ZeroRows();
    if constexpr (kGrid.zero != 0) {
      const __m256i sum =
          _mm256_add_epi16(Broadcast4(act[c]->pairs[0]), Broadcast4(act[c]->pairs[1]));
      start[c] = _mm256_mullo_epi16(sum, _mm256_set1_epi16(-kGrid.zero));
    }
  }
  AddSubBlock<kType, kCols>(w, 0, 0, a, start, {one, one}, total);
  const V16 d = w.D();
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c)
    acc[c] = Fma(Mul(d, Set(act[c]->d)), ToFloat(total[c]), Get(acc[c]));
  if constexpr (kGrid.has_min) {
    const V16 m = w.M();
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) acc[c] = Fma(m, Set(act[c]->sum), Get(acc[c]));
  }
}

// acc[c] += one block of 256 times activations act[c].
template <Type kType, int kCols, class W>
SLM_INLINE void AddBlock(const W& w, const Act256* const* act, V16* acc) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kSubs = 32 / kGrid.sub_block, kPairs = kGrid.sub_blocks() / 2;  // of a unit, of all
  // What the zero takes off, of every sub-block.
  alignas(32) int16_t starts[kCols][16][2];
  if constexpr (kGrid.zero != 0) {
    static_assert(kGrid.sub_block == 16);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      for (int i = 0; i < 16; i += 8) {
        const auto* pairs = reinterpret_cast<const __m256i*>(act[c]->pairs[i]);
        _mm256_store_si256(
            reinterpret_cast<__m256i*>(starts[c][i]),
            _mm256_mullo_epi16(_mm256_loadu_si256(pairs), _mm256_set1_epi16(-kGrid.zero)));
      }
  }
  Rows total[kCols];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) total[c] = ZeroRows();
  for (int u = 0; u < 8; ++u) {
    w.Ahead(u);
    const int8_t* a[kCols];
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) a[c] = act[c]->q + 32 * u;
    SLM_UNROLL
    for (int s = 0; s < kSubs; ++s) {
      const int sub = kSubs * u + s;
      __m256i start[kCols];
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c)
        if (kGrid.zero != 0) start[c] = Broadcast4(starts[c][sub]);
      AddSubBlock<kType, kCols>(w, u, s * kGrid.sub_block / 4, a, start, w.Scales(sub), total);
    }
  }
  const V16 d = w.D();
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c)
    acc[c] = Fma(Mul(d, Set(act[c]->d)), ToFloat(total[c]), Get(acc[c]));
  if constexpr (kGrid.has_min) {
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) total[c] = ZeroRows();
    ForIndices<kPairs>([&](auto j) SLM_INLINED {
      Rows min = w.Mins(j);
      Keep(&min);
      ForIndices<kCols>([&](auto c) SLM_INLINED {
        const int16_t* sums = kGrid.sub_block == 16 ? act[c]->sum16 : act[c]->sum32;
        const __m256i two = Broadcast4(sums + 2 * j);
        total[c] = Add32(total[c], Madd({two, two}, min));
        Keep(&total[c]);
      });
    });
    const V16 m = w.M();
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      acc[c] = Fma(Mul(m, Set(-act[c]->d)), ToFloat(total[c]), Get(acc[c]));
  }
}

// Of signed values, what many columns read: 16 bits each, times their scale. So there is nothing to
// do but vpmaddwd and a sum, and no sign to move. A lane holds elements 0 and 2 of a group of four,
// or 1 and 3.
template <Type kType>
struct WordBlock {
  static constexpr Grid kGrid = quant::GridOf(kType);
  static constexpr int kUnits = kGrid.block / 32;
  Rows words[kUnits][8][2];
  V16 d;

  SLM_INLINE void Unpack(const PackedBlock<kType>& from) {
    static_assert(kGrid.sub_block == 32 && !kGrid.has_min);
    for (int u = 0; u < kUnits; ++u) {
      Rows scale = ZeroRows();
      if constexpr (kGrid.has_scales()) scale = from.Scales(u);
      SLM_UNROLL
      for (int g = 0; g < 8; ++g) {
        const Rows x = from.Group(u, g);
        Rows even = Widen(Left(x, 8)), odd = Widen(x);
        if constexpr (kGrid.has_scales()) even = Mullo(even, scale), odd = Mullo(odd, scale);
        words[u][g][0] = even;
        words[u][g][1] = odd;
      }
    }
    d = from.D();
  }

 private:
  static SLM_INLINE Rows Widen(Rows x) {
    return {_mm256_srai_epi16(x.low, 8), _mm256_srai_epi16(x.high, 8)};
  }
  static SLM_INLINE Rows Mullo(Rows a, Rows b) {
    return {_mm256_mullo_epi16(a.low, b.low), _mm256_mullo_epi16(a.high, b.high)};
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
SLM_INLINE void AddBlock(const WordBlock<kType>& w, const WordAct<kUnits>* const* act, V16* acc) {
  Rows total[kCols];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) total[c] = ZeroRows();
  for (int u = 0; u < kUnits; ++u) {
    ForIndices<16>([&](auto i) SLM_INLINED {
      Rows x = Get(w.words[u][i / 2][i % 2]);
      Keep(&x);
      ForIndices<kCols>([&](auto c) SLM_INLINED {
        const auto* lanes = reinterpret_cast<const uint8_t*>(&act[c]->words[u][i % 2]);
        const __m256i two = Broadcast4(lanes + 4 * (i / 2));
        total[c] = Add32(total[c], Madd(x, {two, two}));
        Keep(&total[c]);
      });
    });
  }
  const V16 d = Get(w.d);
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c)
    acc[c] = Fma(Mul(d, Set(act[c]->d)), ToFloat(total[c]), Get(acc[c]));
}

// Blocks [first, first + count) of kPanels panels from p on against kCols columns from c0, whose
// activations of these blocks are act[c]; block(q, i) is the i-th of them of panel p + q. Unless
// `first` is 0, the sums so far are in the output.
template <Type kType, int kPanels, int kCols, class Act, class BlockAt>
SLM_INLINE void Columns(const MatMulArgs& args, int p, int64_t first, int64_t count, int c0,
                        const Act* const* activations, const BlockAt& block) {
  const Act* act[kCols];
  V16 sums[kPanels][kCols];
  auto* acc = sums;
  asm("" : "+r"(acc));  // or gcc holds them in registers, and what is used more often does not fit
  float* out = args.out + c0 * args.out_stride + 16 * p;
  for (int c = 0; c < kCols; ++c) {
    act[c] = activations[c];
    for (int q = 0; q < kPanels; ++q)
      acc[q][c] = first > 0   ? Load(out + c * args.out_stride + 16 * q)
                  : args.bias ? Load(args.bias + 16 * (p + q))
                              : Set(0.0f);
  }
  for (int64_t b = 0; b < count; ++b) {
    SLM_UNROLL
    for (int q = 0; q < kPanels; ++q) AddBlock<kType, kCols>(block(q, b), act, acc[q]);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) ++act[c];
  }
  for (int c = 0; c < kCols; ++c)
    for (int q = 0; q < kPanels; ++q) Store(Get(acc[q][c]), out + c * args.out_stride + 16 * q);
}

template <Type kType>
using ActOf = std::conditional_t<quant::GridOf(kType).block == 32, Act32, Act256>;

// The activations of column c from block `first` on.
template <Type kType>
SLM_INLINE const ActOf<kType>* ActAt(const MatMulArgs& args, int c, int64_t first) {
  const uint8_t* row = args.act + static_cast<size_t>(c) * args.act_stride;
  return reinterpret_cast<const ActOf<kType>*>(row) + first;
}

// kPanels panels from p on, as they are packed. One column waits for memory: it asks for weights
// ahead of its place in each panel; what follows a panel's end is behind the panels beside it.
template <Type kType, int kPanels, int kCols>
SLM_INLINE void PackedColumns(const MatMulArgs& args, int p, int c0) {
  constexpr size_t kBytes = quant::GridOf(kType).block_bytes();
  constexpr size_t kDistance = kWeightsAhead / (kPanels * kPanels);
  const ActOf<kType>* act[kCols];
  for (int c = 0; c < kCols; ++c) act[c] = ActAt<kType>(args, c0 + c, 0);
  const uint8_t* blocks = args.panel + static_cast<size_t>(p) * args.panel_stride;
  const int64_t count = args.k / quant::GridOf(kType).block;
  const int64_t last = count - static_cast<int64_t>(kDistance / kBytes);
  Columns<kType, kPanels, kCols>(args, p, 0, count, c0, act, [&](int q, int64_t i) {
    const uint8_t* at =
        blocks + static_cast<size_t>(q) * args.panel_stride + static_cast<size_t>(i) * kBytes;
    if (kCols > 1) return PackedBlock<kType>{at};
    const size_t beside = i < last ? 0 : (kPanels - 1) * args.panel_stride;
    return PackedBlock<kType>{at, at + kDistance + beside};
  });
}

template <Type kType>
static void FewColumns(const MatMulArgs& args) {
  // Two panels side by side are read faster; of blocks of 256 they are slower.
  constexpr int kPanels = quant::GridOf(kType).block == 32 ? 2 : 1;
  ForTiles<kTile, 2, 1>(args.cols, [&](auto cols, int c0) {
    int p = 0;
    if (cols.value == 1)
      for (; p + kPanels <= args.panels; p += kPanels)
        PackedColumns<kType, kPanels, 1>(args, p, c0);
    for (; p < args.panels; ++p) PackedColumns<kType, 1, cols.value>(args, p, c0);
  });
}

template <Type kType>
static void MatMulInt8(const MatMulArgs& args) {
  if (args.cols <= kFewColumns) return FewColumns<kType>(args);
  // Stretches are the outer loop: their activations stay in the L2 cache, all of a row do not. The
  // panels' part of one is unpacked, then every tile of columns passes over it.
  using Unpacked = std::conditional_t<kIsSigned<kType>, WordBlock<kType>, CodeBlock<kType>>;
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kUnits = kGrid.block / 32, kBlocks = kStretch<kType> / kUnits;
  const int64_t blocks = args.k / kGrid.block;
  Unpacked unpacked[kMaxPanels][kBlocks];
  for (int64_t first = 0; first < blocks; first += kBlocks) {
    const int64_t count = blocks - first < kBlocks ? blocks - first : kBlocks;
    for (int p = 0; p < args.panels; ++p) {
      const uint8_t* block = args.panel + static_cast<size_t>(p) * args.panel_stride +
                             static_cast<size_t>(first) * kGrid.block_bytes();
      for (int64_t b = 0; b < count; ++b, block += kGrid.block_bytes())
        unpacked[p][b].Unpack({block});
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
      for (int p = 0; p < args.panels; ++p)
        Columns<kType, 1, cols.value>(
            args, p, first, count, c0, act,
            [&](int, int64_t b) -> const Unpacked& { return unpacked[p][b]; });
    });
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

// Two places at once: from one Zen 3 gets two thirds as much.
static uint64_t ProbeRead(const uint8_t* data, size_t bytes) {
  const size_t half = bytes / 2;
  __m256i sum[4] = {};
  for (size_t i = 0; i < half; i += 64) {
    SLM_UNROLL
    for (size_t j = 0; j < 4; ++j)
      sum[j] = _mm256_xor_si256(sum[j], LoadVec(data + j / 2 * half + i + j % 2 * 32));
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
