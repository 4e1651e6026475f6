// Int8 products for NEON, written once and compiled per instruction set: the includer opens a
// target region and a namespace, defines SLM_NEON_LEVEL and includes simd_neon.h first.
//
// A register holds one group of a quad: four consecutive k of four rows.
//   level 0   products are added in 16 bits for as long as they fit
//   level 1   sdot adds a group to 32-bit sums, its four activations taken from a lane of 16
//   level 2   as 1, but smmla for unpacked units: two rows by two columns, eight k of each
// Everything is exact until the float step at the end of a block.

using quant::Grid;
using quant::Type;

constexpr int kQuads = 4;                          // registers of four rows in a panel
constexpr int kTileQuads = 2;                      // a tile has two quads,
constexpr int kTile = SLM_NEON_LEVEL > 0 ? 4 : 2;  // and as many columns as 32 registers hold
constexpr int kChunk = 8;  // units that are unpacked at once: 4 KiB of bytes stay in the L1 cache

// A whole number n of less than 2^22 becomes float by a subtraction, which costs less than the
// conversion: kMagicBits + n are the bits of kMagic + n.
constexpr int32_t kMagicBits = 0x4b400000;
constexpr float kMagic = 0x1.8p23f;

SLM_INLINE uint8x16_t ShiftRight(uint8x16_t x, int bits) {
  return x >> vdupq_n_u8(static_cast<uint8_t>(bits));
}
SLM_INLINE uint8x16_t ShiftLeft(uint8x16_t x, int bits) {
  return x << vdupq_n_u8(static_cast<uint8_t>(bits));
}

// Codes of group g of a quad from a packed unit, `unit` being 16 bytes a quad into it. Table types
// give their values.
template <Type kType>
SLM_INLINE int8x16_t UnpackGroup(const uint8_t* unit, int g) {
  constexpr Grid kGrid = quant::GridOf(kType);
  if constexpr (kGrid.bits == 8) return vreinterpretq_s8_u8(vld1q_u8(unit + 64 * g));
  uint8x16_t code;
  if constexpr (kGrid.bits <= 3) {
    code = ShiftRight(vld1q_u8(unit + 64 * (g / 4)), 2 * (g % 4)) & vdupq_n_u8(3);
    if constexpr (kGrid.bits == 3) {
      const uint8x16_t plane = vld1q_u8(unit + 64 * 2);
      code |= (g < 2 ? ShiftLeft(plane, 2 - g) : ShiftRight(plane, g - 2)) & vdupq_n_u8(4);
    }
  } else {
    const uint8x16_t nibbles = vld1q_u8(unit + 64 * (g % 4));
    code = g < 4 ? nibbles & vdupq_n_u8(15) : ShiftRight(nibbles, 4);
    if constexpr (kGrid.is_table) return vqtbl1q_s8(vld1q_s8(quant::kIq4NlValues), code);
    if constexpr (kGrid.bits == 5) {
      const uint8x16_t plane = vld1q_u8(unit + 64 * 4);
      code |= (g < 4 ? ShiftLeft(plane, 4 - g) : ShiftRight(plane, g - 4)) & vdupq_n_u8(16);
    }
    if constexpr (kGrid.bits == 6) {
      const uint8x16_t plane = vld1q_u8(unit + 64 * (4 + g / 4));
      const int shift = 2 * (g % 4);
      code |=
          (shift < 4 ? ShiftLeft(plane, 4 - shift) : ShiftRight(plane, shift - 4)) & vdupq_n_u8(48);
    }
  }
  return vreinterpretq_s8_u8(code);
}

// Where a unit's groups come from: packed bits, of which the zero is still to be taken off, or
// values that were unpacked before. For smmla these lie in pairs of rows: 16 bytes of elements
// 8 e .. 8 e + 7 of rows 2 p and 2 p + 1 are at 128 e + 16 p.
template <Type kType>
struct Packed {
  static constexpr bool kIsPacked = true, kIsPaired = false;
  static constexpr int kZero = quant::GridOf(kType).zero;
  static constexpr size_t kUnitBytes = quant::GridOf(kType).unit_bytes();
  static SLM_INLINE int8x16_t Group(const uint8_t* unit, int g) {
    return UnpackGroup<kType>(unit, g);
  }
};
struct Unpacked {
  static constexpr bool kIsPacked = false, kIsPaired = SLM_NEON_LEVEL >= 2;
  static constexpr int kZero = 0;
  static constexpr size_t kUnitBytes = 512;
  static SLM_INLINE int8x16_t Group(const uint8_t* unit, int g) {
    return vreinterpretq_s8_u8(vld1q_u8(unit + 64 * g));
  }
};

// The largest |code| or |value| that Source gives.
template <Type kType, class Source>
constexpr int kLargest = quant::GridOf(kType).bits == 8 || quant::GridOf(kType).is_table ? 128
                         : Source::kZero == 0 && quant::GridOf(kType).zero != 0
                             ? quant::GridOf(kType).zero
                             : (1 << quant::GridOf(kType).bits) - 1;

// AddDots: the products of sub-block `sub` of a unit with column c, whose activations of the unit
// are at a[c], are added to dot[c]; DotOf(dot, c, q) are the sums of column c and quad q. Of a
// paired source dot[c] belongs to two columns, c - c % 2 and the next, and to two rows of each
// quad: {row 0 column 0, row 0 column 1, row 1 column 0, row 1 column 1}, rows 2 and 3 where c is
// odd.
template <class Source, int kQ>
SLM_INLINE int32x4_t DotOf(const int32x4_t (*dot)[kQ], int c, int q) {
  if constexpr (Source::kIsPaired) {
    const int32x4_t low = dot[c - c % 2][q], high = dot[c - c % 2 + 1][q];
    return c % 2 ? vuzp2q_s32(low, high) : vuzp1q_s32(low, high);
  }
  return dot[c][q];
}

#if SLM_NEON_LEVEL >= 2
template <int kHalves, int kCols, int kQ>
SLM_INLINE void AddPairs(const uint8_t* unit, const int8x16_t (*x)[kCols], int32x4_t (*dot)[kQ]) {
  SLM_UNROLL
  for (int e = 0; e < 2 * kHalves; ++e) {
    int8x16_t both[kCols / 2];  // eight activations of two columns
    SLM_UNROLL
    for (int c = 0; c < kCols; c += 2) {
      const int64x2_t first = vreinterpretq_s64_s8(x[e / 2][c]);
      const int64x2_t second = vreinterpretq_s64_s8(x[e / 2][c + 1]);
      both[c / 2] =
          vreinterpretq_s8_s64(e % 2 ? vzip2q_s64(first, second) : vzip1q_s64(first, second));
    }
    SLM_UNROLL
    for (int q = 0; q < kQ; ++q) {
      SLM_UNROLL
      for (int i = 0; i < 2; ++i) {
        const int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(unit + 128 * e + 32 * q + 16 * i));
        SLM_UNROLL
        for (int c = 0; c < kCols; c += 2)
          dot[c + i][q] = vmmlaq_s32(dot[c + i][q], w, both[c / 2]);
      }
    }
  }
}
#endif

#if SLM_NEON_LEVEL > 0
SLM_INLINE int32x4_t DotLane(int32x4_t sum, int8x16_t w, int8x16_t x, int lane) {
  switch (lane) {
    case 0:
      return vdotq_laneq_s32(sum, w, x, 0);
    case 1:
      return vdotq_laneq_s32(sum, w, x, 1);
    case 2:
      return vdotq_laneq_s32(sum, w, x, 2);
    default:
      return vdotq_laneq_s32(sum, w, x, 3);
  }
}

template <Type kType, class Source, int kCols, int kQ>
SLM_INLINE void AddDots(const uint8_t* unit, const int8_t* const* a, int sub,
                        int32x4_t (*dot)[kQ]) {
  constexpr int kHalves = quant::GridOf(kType).sub_block / 16;
  int8x16_t x[kHalves][kCols];
  SLM_UNROLL
  for (int h = 0; h < kHalves; ++h) {
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) x[h][c] = vld1q_s8(a[c] + 16 * (sub + h));
  }
  if constexpr (Source::kIsPaired) return AddPairs<kHalves, kCols, kQ>(unit + 256 * sub, x, dot);
  SLM_UNROLL
  for (int i = 0; i < 4 * kHalves; ++i) {
    // Whole units go through groups 0, 4, 1, 5, ..: both come from one load.
    const int h = i % kHalves, lane = i / kHalves;
    SLM_UNROLL
    for (int q = 0; q < kQ; ++q) {
      const int8x16_t w = Source::Group(unit + 16 * q, 4 * (sub + h) + lane);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) dot[c][q] = DotLane(dot[c][q], w, x[h][c], lane);
    }
  }
}
#else
template <Type kType, class Source, int kCols, int kQ>
SLM_INLINE void AddDots(const uint8_t* unit, const int8_t* const* a, int sub,
                        int32x4_t (*dot)[kQ]) {
  constexpr int kGroups = quant::GridOf(kType).sub_block / 4;
  constexpr int kFits = 32767 / (127 * kLargest<kType, Source>);
  constexpr int kDepth = kFits < kGroups ? kFits : kGroups;  // groups that 16 bits hold
  static_assert(kGroups % kDepth == 0);
  int32x4_t pairs[kCols][kQ][2];  // rows 0 and 1, 2 and 3 of a quad: k 0 + 1 and k 2 + 3 of each
  SLM_UNROLL
  for (int run = 0; run < kGroups; run += kDepth) {
    int16x8_t sum[kCols][kQ][2];
    SLM_UNROLL
    for (int i = run; i < run + kDepth; ++i) {
      const int g = kGroups == 8 ? i / 2 + 4 * (i % 2) : 4 * sub + i;
      int8x16_t w[kQ];
      SLM_UNROLL
      for (int q = 0; q < kQ; ++q) w[q] = Source::Group(unit + 16 * q, g);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        int32_t four;
        __builtin_memcpy(&four, a[c] + 4 * g, 4);
        const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four));
        SLM_UNROLL
        for (int q = 0; q < kQ; ++q) {
          sum[c][q][0] = i == run ? vmull_s8(vget_low_s8(w[q]), vget_low_s8(x))
                                  : vmlal_s8(sum[c][q][0], vget_low_s8(w[q]), vget_low_s8(x));
          sum[c][q][1] = i == run ? vmull_high_s8(w[q], x) : vmlal_high_s8(sum[c][q][1], w[q], x);
        }
      }
    }
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) {
      SLM_UNROLL
      for (int q = 0; q < kQ; ++q) {
        SLM_UNROLL
        for (int i = 0; i < 2; ++i)
          pairs[c][q][i] =
              run == 0 ? vpaddlq_s16(sum[c][q][i]) : vpadalq_s16(pairs[c][q][i], sum[c][q][i]);
      }
    }
  }
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    SLM_UNROLL
    for (int q = 0; q < kQ; ++q)
      dot[c][q] = vaddq_s32(dot[c][q], vpaddq_s32(pairs[c][q][0], pairs[c][q][1]));
  }
}
#endif

// Blocks of 32: `units` in Source's form, unit_stride apart; the scales of block u are at tail + u
// * tail_stride. All pointers are at the first of kQ quads.
template <Type kType, class Source, int kCols, int kQ>
SLM_INLINE void Blocks32(const uint8_t* units, size_t unit_stride, const uint8_t* tail,
                         size_t tail_stride, const Act32* const* act, int64_t count,
                         float* const* out) {
  constexpr Grid kGrid = quant::GridOf(kType);
  float32x4_t acc[kCols][kQ];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    SLM_UNROLL
    for (int q = 0; q < kQ; ++q) acc[c][q] = vld1q_f32(out[c] + 4 * q);
  }
  for (int64_t u = 0; u < count; ++u, units += unit_stride, tail += tail_stride) {
    const int8_t* a[kCols];
    int32x4_t dot[kCols][kQ];
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) {
      a[c] = act[c][u].q;
      int32_t start = kMagicBits;
      if (Source::kZero != 0) {
        const auto& p = act[c][u].pairs;
        start -= Source::kZero * (p[0][0] + p[0][1] + p[1][0] + p[1][1]);
      }
      SLM_UNROLL
      for (int q = 0; q < kQ; ++q) dot[c][q] = vdupq_n_s32(start);
    }
    AddDots<kType, Source, kCols, kQ>(units, a, 0, dot);
    SLM_UNROLL
    for (int q = 0; q < kQ; ++q) {
      const float32x4_t d = LoadHalf4(tail + 8 * q);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const float32x4_t sum =
            vsubq_f32(vreinterpretq_f32_s32(DotOf<Source, kQ>(dot, c, q)), vdupq_n_f32(kMagic));
        acc[c][q] = vfmaq_f32(acc[c][q], vmulq_n_f32(d, act[c][u].d), sum);
      }
      if constexpr (kGrid.has_min) {
        const float32x4_t m = LoadHalf4(tail + 32 + 8 * q);
        SLM_UNROLL
        for (int c = 0; c < kCols; ++c) acc[c][q] = vfmaq_n_f32(acc[c][q], m, act[c][u].sum);
      }
    }
  }
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    SLM_UNROLL
    for (int q = 0; q < kQ; ++q) vst1q_f32(out[c] + 4 * q, acc[c][q]);
  }
}

// Sums of the activations of every sub-block.
template <int kSubBlock>
SLM_INLINE void SubBlockSums(const Act256& act, int16x8_t* sums) {
  const int16_t* p = act.pairs[0];
  sums[0] = vpaddq_s16(vld1q_s16(p), vld1q_s16(p + 8));
  sums[1] = vpaddq_s16(vld1q_s16(p + 16), vld1q_s16(p + 24));
  if (kSubBlock == 32) sums[0] = vpaddq_s16(sums[0], sums[1]);
}

// sum[c][q] = for every row, sum over the sub-blocks of a block of factor * activations. `factors`
// are mins or scales, int8; mins are not negative.
template <Type kType, int kCols, int kQ>
SLM_INLINE void SumActivations(const int8_t* factors, const Act256* const* act,
                               int32x4_t (*sum)[kQ]) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kSubs = kGrid.sub_blocks();
  int16x8_t sums[kCols][2];
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    SubBlockSums<kGrid.sub_block>(*act[c], sums[c]);
    SLM_UNROLL
    for (int q = 0; q < kQ; ++q) sum[c][q] = vdupq_n_s32(0);
  }
  SLM_UNROLL
  for (int s = 0; s < kSubs; ++s) {
    SLM_UNROLL
    for (int q = 0; q < kQ; q += 2) {
      const int16x8_t factor = vmovl_s8(vld1_s8(factors + 16 * s + 4 * q));
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const int16_t x = sums[c][s / 8][s % 8];
        sum[c][q] = vmlal_n_s16(sum[c][q], vget_low_s16(factor), x);
        sum[c][q + 1] = vmlal_high_n_s16(sum[c][q + 1], factor, x);
      }
    }
  }
}

constexpr int8_t kNoScales[16] = {};

// One block of 256. `block` is the packed block, where the scales are, a byte a row; `units` are
// its units in Source's form; kQ quads from `quad` on, where `units` is already.
template <Type kType, class Source, int kCols, int kQ>
SLM_INLINE void Block256(const uint8_t* units, const uint8_t* block, int quad,
                         const Act256* const* act, float* const* out) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr int kSubs = 32 / kGrid.sub_block;  // in a unit
  const auto* scales = reinterpret_cast<const int8_t*>(block + kGrid.scales() + 4 * quad);
  int32x4_t total[kCols][kQ], dot[kCols][kQ];
  if constexpr (Source::kZero != 0) SumActivations<kType, kCols, kQ>(scales, act, total);
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    SLM_UNROLL
    for (int q = 0; q < kQ; ++q) {
      dot[c][q] = vdupq_n_s32(0);
      total[c][q] = Source::kZero != 0 ? vmulq_n_s32(total[c][q], -Source::kZero) : vdupq_n_s32(0);
    }
  }
  // `dot` is not cleared between sub-blocks, which would cost as much as a quarter of a scale: the
  // sum of scale[s] * (dot[s] - dot[s - 1]) is that of (scale[s] - scale[s + 1]) * dot[s].
  for (int u = 0; u < 8; ++u, units += Source::kUnitBytes) {
    const int8_t* a[kCols];
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) a[c] = act[c]->q + 32 * u;
    SLM_UNROLL
    for (int s = 0; s < kSubs; ++s, scales += 16) {
      AddDots<kType, Source, kCols, kQ>(units, a, s, dot);
      const int8_t* next = u * kSubs + s == 8 * kSubs - 1 ? kNoScales : scales + 16;
      SLM_UNROLL
      for (int q = 0; q < kQ; q += 2) {
        const int16x8_t step = vsubl_s8(vld1_s8(scales + 4 * q), vld1_s8(next + 4 * q));
        const int32x4_t low = vmovl_s16(vget_low_s16(step)), high = vmovl_high_s16(step);
        SLM_UNROLL
        for (int c = 0; c < kCols; ++c) {
          total[c][q] = vmlaq_s32(total[c][q], DotOf<Source, kQ>(dot, c, q), low);
          total[c][q + 1] = vmlaq_s32(total[c][q + 1], DotOf<Source, kQ>(dot, c, q + 1), high);
        }
      }
    }
  }
  float32x4_t acc[kCols][kQ];
  SLM_UNROLL
  for (int q = 0; q < kQ; ++q) {
    const float32x4_t d = LoadHalf4(block + kGrid.d() + 8 * (quad + q));
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      acc[c][q] = vfmaq_f32(vld1q_f32(out[c] + 4 * q), vmulq_n_f32(d, act[c]->d),
                            vcvtq_f32_s32(total[c][q]));
  }
  if constexpr (kGrid.has_min) {
    const auto* factors = reinterpret_cast<const int8_t*>(block + kGrid.mins() + 4 * quad);
    int32x4_t mins[kCols][kQ];
    SumActivations<kType, kCols, kQ>(factors, act, mins);
    SLM_UNROLL
    for (int q = 0; q < kQ; ++q) {
      const float32x4_t m = LoadHalf4(block + kGrid.m() + 8 * (quad + q));
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c)
        acc[c][q] = vfmsq_f32(acc[c][q], vmulq_n_f32(m, act[c]->d), vcvtq_f32_s32(mins[c][q]));
    }
  }
  SLM_UNROLL
  for (int c = 0; c < kCols; ++c) {
    SLM_UNROLL
    for (int q = 0; q < kQ; ++q) vst1q_f32(out[c] + 4 * q, acc[c][q]);
  }
}

// `count` blocks from block `first` of the activations on, against kCols columns from c0 and kQ
// quads from `quad`.
template <Type kType, class Source, int kCols, int kQ>
static void Columns(const MatMulArgs& args, const uint8_t* units, const uint8_t* blocks,
                    int64_t first, int64_t count, int c0, int quad) {
  constexpr Grid kGrid = quant::GridOf(kType);
  constexpr size_t kStride =
      Source::kIsPacked ? kGrid.block_bytes() : Source::kUnitBytes * (kGrid.block / 32);
  float* out[kCols];
  const uint8_t* row[kCols];
  for (int c = 0; c < kCols; ++c) {
    out[c] = args.out + (c0 + c) * args.out_stride + 4 * quad;
    row[c] = args.act + static_cast<size_t>(c0 + c) * args.act_stride;
    if (first > 0) continue;
    for (int q = 0; q < 4 * kQ; q += 4)
      vst1q_f32(out[c] + q, args.bias ? vld1q_f32(args.bias + 4 * quad + q) : vdupq_n_f32(0.0f));
  }
  units += (Source::kIsPaired ? 32 : 16) * quad;
  if constexpr (kGrid.block == 32) {
    const Act32* act[kCols];
    for (int c = 0; c < kCols; ++c) act[c] = reinterpret_cast<const Act32*>(row[c]) + first;
    Blocks32<kType, Source, kCols, kQ>(units, kStride, blocks + kGrid.d() + 8 * quad,
                                       kGrid.block_bytes(), act, count, out);
  } else {
    for (int64_t b = 0; b < count; ++b, units += kStride, blocks += kGrid.block_bytes()) {
      const Act256* act[kCols];
      for (int c = 0; c < kCols; ++c) act[c] = reinterpret_cast<const Act256*>(row[c]) + first + b;
      Block256<kType, Source, kCols, kQ>(units, blocks, quad, act, out);
    }
  }
}

template <Type kType>
static void UnpackBlocks(const uint8_t* block, int64_t count, uint8_t* to) {
  constexpr Grid kGrid = quant::GridOf(kType);
  const auto store = [](int8x16_t x, uint8_t* at) { vst1q_u8(at, vreinterpretq_u8_s8(x)); };
  for (int64_t i = 0; i < count; ++i, block += kGrid.block_bytes())
    for (int u = 0; u < kGrid.block / 32; ++u, to += Unpacked::kUnitBytes) {
      const uint8_t* unit = block + static_cast<size_t>(u) * kGrid.unit_bytes();
      for (int q = 0; q < kQuads; ++q, unit += 16) {
        int8x16_t value[8];
        SLM_UNROLL
        for (int g = 0; g < 8; ++g)
          value[g] = vsubq_s8(UnpackGroup<kType>(unit, g), vdupq_n_s8(kGrid.zero));
        SLM_UNROLL
        for (int g = 0; g < 8; g += 2) {
          if constexpr (Unpacked::kIsPaired) {
            const int32x4_t a = vreinterpretq_s32_s8(value[g]);
            const int32x4_t b = vreinterpretq_s32_s8(value[g + 1]);
            store(vreinterpretq_s8_s32(vzip1q_s32(a, b)), to + 64 * g + 32 * q);
            store(vreinterpretq_s8_s32(vzip2q_s32(a, b)), to + 64 * g + 32 * q + 16);
          } else {
            store(value[g], to + 64 * g + 16 * q);
            store(value[g + 1], to + 64 * (g + 1) + 16 * q);
          }
        }
      }
    }
}

template <Type kType, int kCols>
static void Tiles(const MatMulArgs& args, const uint8_t* units, const uint8_t* block, int64_t first,
                  int64_t count, int* c) {
  for (; *c + kCols <= args.cols; *c += kCols)
    for (int quad = 0; quad < kQuads; quad += kTileQuads)
      Columns<kType, Unpacked, kCols, kTileQuads>(args, units, block, first, count, *c, quad);
}

template <Type kType>
static void MatMulInt8(const MatMulArgs& args) {
  constexpr Grid kGrid = quant::GridOf(kType);
  const int64_t blocks = args.k / kGrid.block;
  if (args.cols == 1) {
    Columns<kType, Packed<kType>, 1, kQuads>(args, args.panel, args.panel, 0, blocks, 0, 0);
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
    Tiles<kType, kTile>(args, units, block, b, count, &c);
    if (kTile > 2) Tiles<kType, 2>(args, units, block, b, count, &c);
    if (c < args.cols) Columns<kType, Packed<kType>, 1, kQuads>(args, block, block, b, count, c, 0);
  }
}

static void InstallMatMul(KernelTable* table) {
  quant::ForQuantizedTypes([&](auto type) {
    constexpr Type kType = type.value;
    table->matmul[static_cast<int>(kType)] = {MatMulInt8<kType>, ActFormatOf(kType), true};
  });
}

#if SLM_NEON_LEVEL > 0
static int64_t ProbeInt8(int64_t rounds) {
  constexpr int kChains = 16, kProducts = SLM_NEON_LEVEL >= 2 ? 32 : 16;
  int32x4_t sum[kChains];
  SLM_UNROLL
  for (int i = 0; i < kChains; ++i) sum[i] = vdupq_n_s32(i);
  int8x16_t w = vdupq_n_s8(3);
  const int8x16_t x = vdupq_n_s8(1);
  for (int64_t i = 0; i < rounds; ++i) {
    SLM_UNROLL
    for (int j = 0; j < kChains; ++j)
#if SLM_NEON_LEVEL >= 2
      sum[j] = vmmlaq_s32(sum[j], w, x);
#else
      sum[j] = vdotq_laneq_s32(sum[j], w, x, 0);
#endif
    asm volatile("" : "+w"(w));  // or the product would be computed once
  }
  SLM_UNROLL
  for (int i = 0; i < kChains; ++i) asm volatile("" : "+w"(sum[i]));
  return rounds * kChains * kProducts;
}
#endif
