// Int8 products for AVX2. A 32-bit lane holds four consecutive k of one row; vpmaddubsw sums pairs
// into 16 bits, where as many groups of four are added as the type's largest value allows without
// overflow (kDepth), and vpmaddwd with the integer scale widens to 32 bits. Everything is exact
// until the float step at the end of a block.
#include <immintrin.h>

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
// For as many columns unpacking a stretch costs more than it saves.
template <Type kType>
constexpr int kFewColumns = quant::GridOf(kType).block == 32 ? 8 : 1;
constexpr int kTile = 3;   // columns that share a load of weights: more would spill registers
constexpr int kChunk = 8;  // units that are unpacked at once: 4 KiB of bytes stay in the L1 cache

SLM_INLINE __m256i LoadVec(const uint8_t* p) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
}
SLM_INLINE int LoadInt(const void* p) {
  int x;
  __builtin_memcpy(&x, p, 4);
  return x;
}
SLM_INLINE __m256i Broadcast4(const void* p) { return _mm256_set1_epi32(LoadInt(p)); }
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

// Where a unit's groups come from: packed bits, or bytes that were unpacked before.
template <Type kType>
struct Packed {
  static constexpr bool kIsPacked = true;
  static constexpr size_t kUnitBytes = quant::GridOf(kType).unit_bytes();
  static SLM_INLINE __m256i Group(const uint8_t* unit, int g, int h) {
    return UnpackGroup<kType>(unit, g, h);
  }
};
struct Unpacked {
  static constexpr bool kIsPacked = false;
  static constexpr size_t kUnitBytes = 512;
  static SLM_INLINE __m256i Group(const uint8_t* unit, int g, int h) {
    return LoadVec(unit + 64 * g + 32 * h);
  }
};

// One column reads packed weights once. Those of blocks of 32 take few instructions: asking for
// them makes Q4_0 3 to 8 % slower; those with a fifth bit take more, and gain.
template <Type kType, class Source, int kCols>
constexpr bool kIsAhead = kCols == 1 && Source::kIsPacked &&
                          (quant::GridOf(kType).block == 256 || quant::GridOf(kType).bits == 5);

// Integer scale of 8 rows in both 16-bit halves of their lanes; scales and mins fit int8.
SLM_INLINE __m256i LoadScales(const uint8_t* p) {
  const __m256i x = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return _mm256_or_si256(_mm256_slli_epi32(x, 16), _mm256_and_si256(x, _mm256_set1_epi32(0xffff)));
}

// total[c][h] += scale[h] * dot over the groups of sub-block `sub` of a unit, for every column.
// a[c] points at the unit's activations, pairs[c] at their pair sums.
template <Type kType, class Source, int kCols>
SLM_INLINE void AddSubBlock(const uint8_t* unit, const int8_t* const* a,
                            const int16_t (*const* pairs)[2], int sub, const __m256i* scale,
                            __m256i (*total)[kHalves]) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr bool kIsSigned = kGrid.bits == 8 || kGrid.is_table;
  constexpr int kGroups = kGrid.sub_block / 4;
  constexpr int kLargest = kIsSigned    ? 128
                           : kGrid.zero ? kGrid.zero
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
      const int g = kGrid.sub_block == 32 ? i / 2 + 4 * (i % 2) : 4 * sub + i;
      __m256i w[kHalves], magnitude[kHalves];
      SLM_UNROLL
      for (int h = 0; h < kHalves; ++h) {
        w[h] = Source::Group(unit, g, h);
        if constexpr (kIsSigned) magnitude[h] = _mm256_abs_epi8(w[h]);
      }
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const __m256i x = Broadcast4(a[c] + 4 * g);
        SLM_UNROLL
        for (int h = 0; h < kHalves; ++h) {
          const __m256i product =
              kIsSigned ? _mm256_maddubs_epi16(magnitude[h], _mm256_sign_epi8(x, w[h]))
                        : _mm256_maddubs_epi16(w[h], x);
          acc[c][h] = i == run ? product : _mm256_add_epi16(acc[c][h], product);
        }
      }
    }
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) {
      if constexpr (kGrid.zero != 0) {  // wraps on the way, but the difference fits
        __m256i sum = Broadcast4(pairs[c][sub]);
        if (kGrid.sub_block == 32) sum = _mm256_add_epi16(sum, Broadcast4(pairs[c][sub + 1]));
        sum = _mm256_mullo_epi16(sum, _mm256_set1_epi16(kGrid.zero));
        SLM_UNROLL
        for (int h = 0; h < kHalves; ++h) acc[c][h] = _mm256_sub_epi16(acc[c][h], sum);
      }
      SLM_UNROLL
      for (int h = 0; h < kHalves; ++h)
        total[c][h] = _mm256_add_epi32(total[c][h], _mm256_madd_epi16(acc[c][h], scale[h]));
    }
  }
}

// The float accumulators of a column live in `out` between blocks; these helpers move them.
SLM_INLINE void LoadAcc(const float* out, __m256* acc) {
  for (int h = 0; h < kHalves; ++h) acc[h] = _mm256_loadu_ps(out + 8 * h);
}
SLM_INLINE void StoreAcc(const __m256* acc, float* out) {
  for (int h = 0; h < kHalves; ++h) _mm256_storeu_ps(out + 8 * h, acc[h]);
}

// Blocks of 32. `units` are consecutive in Source's form; `tail` is where the scales of unit u are:
// tail + u * stride.
template <Type kType, class Source, int kCols>
SLM_INLINE void Blocks32(const uint8_t* units, size_t unit_stride, const uint8_t* tail,
                         size_t tail_stride, const Act32* const* act, int64_t count,
                         float* const* out) {
  constexpr Grid kGrid = quant::GridOf(kType);
  const __m256i ones[kHalves] = {_mm256_set1_epi16(1), _mm256_set1_epi16(1)};
  __m256 acc[kCols][kHalves];
  for (int c = 0; c < kCols; ++c) LoadAcc(out[c], acc[c]);
  for (int64_t u = 0; u < count; ++u, units += unit_stride, tail += tail_stride) {
    if (kIsAhead<kType, Source, kCols>) PrefetchUnit<kGrid.block_bytes(), 1, true>(units, 0);
    const int8_t* a[kCols];
    const int16_t(*pairs[kCols])[2];
    __m256i total[kCols][kHalves];
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) {
      a[c] = act[c][u].q;
      pairs[c] = act[c][u].pairs;
      for (int h = 0; h < kHalves; ++h) total[c][h] = _mm256_setzero_si256();
    }
    AddSubBlock<kType, Source, kCols>(units, a, pairs, 0, ones, total);
    SLM_UNROLL
    for (int h = 0; h < kHalves; ++h) {
      const __m256 d = LoadHalf8(tail + 16 * h);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const __m256 factor = _mm256_mul_ps(d, _mm256_set1_ps(act[c][u].d));
        acc[c][h] = _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(total[c][h]), acc[c][h]);
      }
      if constexpr (kGrid.has_min) {
        const __m256 m = LoadHalf8(tail + 32 + 16 * h);
        SLM_UNROLL
        for (int c = 0; c < kCols; ++c)
          acc[c][h] = _mm256_fmadd_ps(m, _mm256_set1_ps(act[c][u].sum), acc[c][h]);
      }
    }
  }
  for (int c = 0; c < kCols; ++c) StoreAcc(acc[c], out[c]);
}

// One block of 256; `block` is the packed block, where the scales are, `units` its units in
// Source's form.
template <Type kType, class Source, int kCols>
SLM_INLINE void Block256(const uint8_t* units, const uint8_t* block, const Act256* const* act,
                         float* const* out) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kSubs = 32 / kGrid.sub_block;  // in a unit
  __m256i total[kCols][kHalves], mins[kCols][kHalves];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c)
    for (int h = 0; h < kHalves; ++h) total[c][h] = mins[c][h] = _mm256_setzero_si256();
  for (int u = 0; u < 8; ++u) {
    if (kIsAhead<kType, Source, kCols>) PrefetchUnit<kGrid.block_bytes(), 8, true>(block, u);
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
      __m256i scale[kHalves];
      for (int h = 0; h < kHalves; ++h)
        scale[h] = LoadScales(block + kGrid.scales() + at + static_cast<size_t>(8 * h));
      AddSubBlock<kType, Source, kCols>(units + static_cast<size_t>(u) * Source::kUnitBytes, a,
                                        pairs, s, scale, total);
      if constexpr (kGrid.has_min) {
        __m256i min[kHalves];
        for (int h = 0; h < kHalves; ++h)
          min[h] = LoadScales(block + kGrid.mins() + at + static_cast<size_t>(8 * h));
        SLM_UNROLL
        for (int c = 0; c < kCols; ++c) {
          __m256i sum = Broadcast4(pairs[c][s]);
          if (kSubs == 1) sum = _mm256_add_epi16(sum, Broadcast4(pairs[c][1]));
          for (int h = 0; h < kHalves; ++h)
            mins[c][h] = _mm256_add_epi32(mins[c][h], _mm256_madd_epi16(sum, min[h]));
        }
      }
    }
  }
  SLM_UNROLL
  for (int h = 0; h < kHalves; ++h) {
    const __m256 d = LoadHalf8(block + kGrid.d() + 16 * h);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) {
      const __m256 da = _mm256_set1_ps(act[c]->d);
      __m256 acc = _mm256_loadu_ps(out[c] + 8 * h);
      acc = _mm256_fmadd_ps(_mm256_mul_ps(d, da), _mm256_cvtepi32_ps(total[c][h]), acc);
      if constexpr (kGrid.has_min) {
        const __m256 m = LoadHalf8(block + kGrid.m() + 16 * h);
        acc = _mm256_fnmadd_ps(_mm256_mul_ps(m, da), _mm256_cvtepi32_ps(mins[c][h]), acc);
      }
      _mm256_storeu_ps(out[c] + 8 * h, acc);
    }
  }
}

// `count` packed blocks from `block` on, against kCols columns from c0, the units read from Source.
template <Type kType, class Source, int kCols>
static void Columns(const MatMulArgs& args, const uint8_t* units, const uint8_t* blocks,
                    int64_t first, int64_t count, int c0) {
  constexpr Grid kGrid = quant::GridOf(kType);
  float* out[kCols];
  const uint8_t* row[kCols];
  for (int c = 0; c < kCols; ++c) {
    out[c] = args.out + (c0 + c) * args.out_stride;
    row[c] = args.act + static_cast<size_t>(c0 + c) * args.act_stride;
    if (first > 0) continue;
    for (int h = 0; h < kHalves; ++h)
      _mm256_storeu_ps(out[c] + 8 * h,
                       args.bias ? _mm256_loadu_ps(args.bias + 8 * h) : _mm256_setzero_ps());
  }
  constexpr bool kIsUnpacked = Source::kUnitBytes == Unpacked::kUnitBytes && kGrid.bits != 8;
  if constexpr (kGrid.block == 32) {
    const Act32* act[kCols];
    for (int c = 0; c < kCols; ++c) act[c] = reinterpret_cast<const Act32*>(row[c]) + first;
    Blocks32<kType, Source, kCols>(units, kIsUnpacked ? Source::kUnitBytes : kGrid.block_bytes(),
                                   blocks + kGrid.d(), kGrid.block_bytes(), act, count, out);
  } else {
    for (int64_t b = 0; b < count; ++b) {
      const Act256* act[kCols];
      for (int c = 0; c < kCols; ++c) act[c] = reinterpret_cast<const Act256*>(row[c]) + first + b;
      const size_t at = static_cast<size_t>(b);
      const size_t stride = kIsUnpacked ? 8 * Source::kUnitBytes : kGrid.block_bytes();
      Block256<kType, Source, kCols>(units + at * stride, blocks + at * kGrid.block_bytes(), act,
                                     out);
    }
  }
}

template <Type kType>
static void MatMulInt8(const MatMulArgs& args) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kUnits = kGrid.block / 32;  // in a block
  const int64_t blocks = args.k / kGrid.block;
  if (args.cols <= kFewColumns<kType>) {
    ForTiles<kTile, 2, 1>(args.cols, [&](auto cols, int c) {
      Columns<kType, Packed<kType>, cols.value>(args, args.panel, args.panel, 0, blocks, c);
    });
    return;
  }
  // Many columns: unpack a stretch of the panel once, then let every tile of columns pass over it.
  constexpr int64_t kStretch = kChunk / kUnits;
  alignas(64) uint8_t bytes[kGrid.bits == 8 ? 1 : kChunk * Unpacked::kUnitBytes];
  for (int64_t b = 0; b < blocks; b += kStretch) {
    const int64_t count = blocks - b < kStretch ? blocks - b : kStretch;
    const uint8_t* block = args.panel + static_cast<size_t>(b) * kGrid.block_bytes();
    const uint8_t* units = block;
    if constexpr (kGrid.bits != 8) {
      units = bytes;
      uint8_t* to = bytes;
      for (int64_t i = 0; i < count; ++i)
        for (int u = 0; u < kUnits; ++u)
          for (int g = 0; g < 8; ++g)
            for (int h = 0; h < kHalves; ++h, to += 32)
              _mm256_store_si256(
                  reinterpret_cast<__m256i*>(to),
                  UnpackGroup<kType>(block + static_cast<size_t>(i) * kGrid.block_bytes() +
                                         static_cast<size_t>(u) * kGrid.unit_bytes(),
                                     g, h));
    }
    ForTiles<kTile, 1>(args.cols, [&](auto cols, int c) {
      Columns<kType, Unpacked, cols.value>(args, units, block, b, count, c);
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
  table->matmul[static_cast<int>(kType)] = {MatMulInt8<kType>, ActFormatOf(kType), true};
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
