// V16 as four 128-bit registers. base/simd_scalar.h says what each function does.

struct V16 {
  float32x4_t x[4];
};

// Sums that are kept in registers, beside what is added to them.
constexpr int kAccumulators = 4;
// Columns, or rows of queries, that share a load of floats, and columns of bfloat16 and of words.
constexpr int kFloatTile = 4, kBfloatTile = 4, kWordTile = 8;
// Panels of floats that one column reads side by side, where that was measured to be faster.
constexpr int kSideBySide = 1;

#define SLM_QUADS SLM_UNROLL for (int i = 0; i < 4; ++i)

SLM_INLINE V16 Set(float x) {
  const float32x4_t all = vdupq_n_f32(x);
  return {{all, all, all, all}};
}
SLM_INLINE V16 Load(const float* p) {
  V16 r;
  SLM_QUADS r.x[i] = vld1q_f32(p + 4 * i);
  return r;
}
SLM_INLINE void Store(V16 x, float* p) { SLM_QUADS vst1q_f32(p + 4 * i, x.x[i]); }
SLM_INLINE V16 LoadN(const float* p, int64_t n) {
  if (n >= 16) return Load(p);
  float lanes[16] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return Load(lanes);
}
SLM_INLINE void StoreN(V16 x, float* p, int64_t n) {
  if (n >= 16) return Store(x, p);
  float lanes[16];
  Store(x, lanes);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}
// Words from an address without alignment.
SLM_INLINE uint16x4_t LoadWords(const uint8_t* p) { return vreinterpret_u16_u8(vld1_u8(p)); }
SLM_INLINE float32x4_t LoadHalf4(const uint8_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(LoadWords(p)));
}
SLM_INLINE V16 LoadHalf(const uint8_t* p) {
  V16 r;
  SLM_QUADS r.x[i] = LoadHalf4(p + 8 * i);
  return r;
}
// Of pairs of bfloat16 in 32-bit lanes.
SLM_INLINE float32x4_t FirstOfPairs(uint32x4_t x) {
  return vreinterpretq_f32_u32(vshlq_n_u32(x, 16));
}
SLM_INLINE float32x4_t SecondOfPairs(uint32x4_t x) {
  return vreinterpretq_f32_u32(vandq_u32(x, vdupq_n_u32(0xffff0000u)));
}
SLM_INLINE void LoadBfloatPairs(const uint8_t* p, V16* first, V16* second) {
  SLM_QUADS {
    const uint32x4_t x = vreinterpretq_u32_u8(vld1q_u8(p + 16 * i));
    first->x[i] = FirstOfPairs(x);
    second->x[i] = SecondOfPairs(x);
  }
}
SLM_INLINE V16 LoadInt8(const uint8_t* p) {
  const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(p));
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
  return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
           vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
}
template <int kBits, bool kSigned>
SLM_INLINE V16 LoadBits(const uint8_t* p, int shift) {
  V16 r;
  const int32x4_t left = vdupq_n_s32(32 - kBits - shift);
  SLM_QUADS {
    const uint32x4_t x = vshlq_u32(vreinterpretq_u32_u8(vld1q_u8(p + 16 * i)), left);
    r.x[i] = kSigned ? vcvtq_f32_s32(vshrq_n_s32(vreinterpretq_s32_u32(x), 32 - kBits))
                     : vcvtq_f32_u32(vshrq_n_u32(x, 32 - kBits));
  }
  return r;
}
SLM_INLINE void StoreHalf(V16 x, uint8_t* p) {
  SLM_QUADS vst1_u8(p + 8 * i, vreinterpret_u8_f16(vcvt_f16_f32(x.x[i])));
}
SLM_INLINE void StoreInt8(V16 x, int8_t* p) {
  int16x4_t words[4];
  SLM_QUADS words[i] = vqmovn_s32(vcvtnq_s32_f32(x.x[i]));
  vst1_s8(p, vqmovn_s16(vcombine_s16(words[0], words[1])));
  vst1_s8(p + 8, vqmovn_s16(vcombine_s16(words[2], words[3])));
}
SLM_INLINE void StoreInt8Sums(V16 a, V16 b, int8_t* p, int16_t (*pairs)[2]) {
  StoreInt8(a, p);
  StoreInt8(b, p + 16);
  for (int block = 0; block < 2; ++block) {
    const int16x8_t eight = vpaddlq_s8(vld1q_s8(p + 16 * block));  // of two neighbours
    const int16x4_t four = vadd_s16(vget_low_s16(eight), vget_high_s16(eight));
    const int16x4_t two = vadd_s16(four, vext_s16(four, four, 2));
    vst1_lane_s32(reinterpret_cast<int32_t*>(pairs[block]), vreinterpret_s32_s16(two), 0);
  }
}
SLM_INLINE V16 Add(V16 a, V16 b) {
  SLM_QUADS a.x[i] = vaddq_f32(a.x[i], b.x[i]);
  return a;
}
SLM_INLINE V16 Sub(V16 a, V16 b) {
  SLM_QUADS a.x[i] = vsubq_f32(a.x[i], b.x[i]);
  return a;
}
SLM_INLINE V16 Mul(V16 a, V16 b) {
  SLM_QUADS a.x[i] = vmulq_f32(a.x[i], b.x[i]);
  return a;
}
SLM_INLINE V16 Div(V16 a, V16 b) {
  SLM_QUADS a.x[i] = vdivq_f32(a.x[i], b.x[i]);
  return a;
}
SLM_INLINE V16 Sqrt(V16 a) {
  SLM_QUADS a.x[i] = vsqrtq_f32(a.x[i]);
  return a;
}
SLM_INLINE V16 Fma(V16 a, V16 b, V16 c) {
  SLM_QUADS c.x[i] = vfmaq_f32(c.x[i], a.x[i], b.x[i]);
  return c;
}
// fmax and fmaxnm treat NaN and the signs of zeros in ways of their own.
SLM_INLINE float32x4_t Max4(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
SLM_INLINE V16 Max(V16 a, V16 b) {
  SLM_QUADS a.x[i] = Max4(a.x[i], b.x[i]);
  return a;
}
SLM_INLINE V16 Min(V16 a, V16 b) {
  SLM_QUADS a.x[i] = vbslq_f32(vcltq_f32(a.x[i], b.x[i]), a.x[i], b.x[i]);
  return a;
}
SLM_INLINE V16 Abs(V16 a) {
  SLM_QUADS a.x[i] = vabsq_f32(a.x[i]);
  return a;
}
SLM_INLINE V16 Round(V16 a) {
  SLM_QUADS a.x[i] = vrndnq_f32(a.x[i]);
  return a;
}
SLM_INLINE V16 TimesPowerOf2(V16 a, V16 n) {
  SLM_QUADS {
    const int32x4_t biased = vaddq_s32(vcvtnq_s32_f32(n.x[i]), vdupq_n_s32(127));
    a.x[i] = vmulq_f32(a.x[i], vreinterpretq_f32_s32(vshlq_n_s32(biased, 23)));
  }
  return a;
}
SLM_INLINE V16 Select(V16 a, int begin, int end, float other) {
  const int32_t first[4] = {0, 1, 2, 3};
  SLM_QUADS {
    const int32x4_t lane = vaddq_s32(vld1q_s32(first), vdupq_n_s32(4 * i));
    const uint32x4_t inside =
        vandq_u32(vcgeq_s32(lane, vdupq_n_s32(begin)), vcltq_s32(lane, vdupq_n_s32(end)));
    a.x[i] = vbslq_f32(inside, a.x[i], vdupq_n_f32(other));
  }
  return a;
}
SLM_INLINE V16 IfLess(V16 a, V16 b, V16 x, V16 y) {
  SLM_QUADS x.x[i] = vbslq_f32(vcltq_f32(a.x[i], b.x[i]), x.x[i], y.x[i]);
  return x;
}
SLM_INLINE V16 Lookup(const float* table, V16 index) {
  const uint8_t* p = reinterpret_cast<const uint8_t*>(table);
  const uint8x16x4_t bytes = {{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
  SLM_QUADS {  // byte j of entry n is byte 4 n + j
    const uint32x4_t at =
        vmlaq_n_u32(vdupq_n_u32(0x03020100), vcvtq_u32_f32(index.x[i]), 0x04040404);
    index.x[i] = vreinterpretq_f32_u8(vqtbl4q_u8(bytes, vreinterpretq_u8_u32(at)));
  }
  return index;
}
template <int kDistance>
SLM_INLINE V16 SwapLanes(V16 a) {
  if constexpr (kDistance == 8) return {{a.x[2], a.x[3], a.x[0], a.x[1]}};
  if constexpr (kDistance == 4) return {{a.x[1], a.x[0], a.x[3], a.x[2]}};
  SLM_QUADS a.x[i] = kDistance == 2 ? vextq_f32(a.x[i], a.x[i], 2) : vrev64q_f32(a.x[i]);
  return a;
}
SLM_INLINE void SplitPairs(V16* a, V16* b) {
  const V16 x = *a, y = *b;
  for (int i = 0; i < 4; ++i) {
    const V16& from = i < 2 ? x : y;
    const int at = i % 2 * 2;
    a->x[i] = vuzp1q_f32(from.x[at], from.x[at + 1]);
    b->x[i] = vuzp2q_f32(from.x[at], from.x[at + 1]);
  }
}
SLM_INLINE void MergePairs(V16* a, V16* b) {
  const V16 even = *a, odd = *b;
  for (int i = 0; i < 2; ++i) {
    a->x[2 * i] = vzip1q_f32(even.x[i], odd.x[i]);
    a->x[2 * i + 1] = vzip2q_f32(even.x[i], odd.x[i]);
    b->x[2 * i] = vzip1q_f32(even.x[i + 2], odd.x[i + 2]);
    b->x[2 * i + 1] = vzip2q_f32(even.x[i + 2], odd.x[i + 2]);
  }
}
SLM_INLINE float ReduceAdd(V16 a) {
  const float32x4_t x = vaddq_f32(vaddq_f32(a.x[0], a.x[2]), vaddq_f32(a.x[1], a.x[3]));
  const float32x2_t y = vadd_f32(vget_low_f32(x), vget_high_f32(x));
  return vget_lane_f32(y, 0) + vget_lane_f32(y, 1);
}
SLM_INLINE float ReduceMax(V16 a) {
  const float32x4_t x = Max4(Max4(a.x[0], a.x[2]), Max4(a.x[1], a.x[3]));
  const float32x4_t y = Max4(x, vextq_f32(x, x, 2));
  const float low = vgetq_lane_f32(y, 0), high = vgetq_lane_f32(y, 1);
  return low > high ? low : high;
}

constexpr int kIntLanes = 4, kWordParts = 1;
struct Ints {
  int32x4_t x;
};
SLM_INLINE Ints ZeroInts() { return {vdupq_n_s32(0)}; }
SLM_INLINE Ints LoadPairs(const uint8_t* p) { return {vreinterpretq_s32_u8(vld1q_u8(p))}; }
SLM_INLINE Ints SetPair(const int16_t* p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return {vdupq_n_s32(pair)};
}
SLM_INLINE void AddPairs(Ints a, Ints b, Ints* sum) {
  const int16x8_t x = vreinterpretq_s16_s32(a.x), y = vreinterpretq_s16_s32(b.x);
  const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
  sum->x = vaddq_s32(sum->x, vpaddq_s32(low, vmull_high_s16(x, y)));
}
SLM_INLINE void StoreInts(Ints a, int32_t* p) { vst1q_s32(p, a.x); }
SLM_INLINE V16 LoadInts(const int32_t* p) {
  V16 r;
  SLM_QUADS r.x[i] = vcvtq_f32_s32(vld1q_s32(p + 4 * i));
  return r;
}
SLM_INLINE void StoreInt16(V16 x, int16_t* p) {
  SLM_QUADS vst1_s16(p + 4 * i, vmovn_s32(vcvtnq_s32_f32(x.x[i])));
}
SLM_INLINE void StorePairs(V16 first, V16 second, uint8_t* p) {
  SLM_QUADS {
    const int32x4_t pair = vsliq_n_s32(vcvtnq_s32_f32(first.x[i]), vcvtnq_s32_f32(second.x[i]), 16);
    vst1q_u8(p + 16 * i, vreinterpretq_u8_s32(pair));
  }
}

#undef SLM_QUADS
