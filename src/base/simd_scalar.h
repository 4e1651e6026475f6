// V16 for any CPU: 16 float lanes as an array. This version is the specification of the others.
// Included inside a target region and a namespace; see kernels/float_inl.h.

struct V16 {
  float lane[16];
};

// Sums that are kept in registers, beside what is added to them.
constexpr int kAccumulators = 1;
// Columns, or rows of queries, that share a load of floats, and columns of bfloat16 and of words.
constexpr int kFloatTile = 4, kBfloatTile = 4, kWordTile = 4;
// Panels of floats that one column reads side by side, where that was measured to be faster.
constexpr int kSideBySide = 1;

#define SLM_LANES for (int i = 0; i < 16; ++i)

SLM_INLINE V16 Set(float x) {
  V16 r;
  SLM_LANES r.lane[i] = x;
  return r;
}
SLM_INLINE V16 Load(const float* p) {
  V16 r;
  SLM_LANES r.lane[i] = p[i];
  return r;
}
// The first n lanes; the others are zero.
SLM_INLINE V16 LoadN(const float* p, int64_t n) {
  V16 r;
  SLM_LANES r.lane[i] = i < n ? p[i] : 0.0f;
  return r;
}
SLM_INLINE void Store(V16 x, float* p) { SLM_LANES p[i] = x.lane[i]; }
SLM_INLINE void StoreN(V16 x, float* p, int64_t n) { SLM_LANES if (i < n) p[i] = x.lane[i]; }
SLM_INLINE V16 LoadHalf(const uint8_t* p) {
  V16 r;
  SLM_LANES {
    uint16_t h;
    __builtin_memcpy(&h, p + 2 * i, 2);
    r.lane[i] = HalfToFloat(h);
  }
  return r;
}
// 16 pairs of bfloat16: the first and the second of each.
SLM_INLINE void LoadBfloatPairs(const uint8_t* p, V16* first, V16* second) {
  SLM_LANES {
    uint16_t pair[2];
    __builtin_memcpy(pair, p + 4 * i, 4);
    first->lane[i] = BfloatToFloat(pair[0]);
    second->lane[i] = BfloatToFloat(pair[1]);
  }
}
SLM_INLINE V16 LoadInt8(const uint8_t* p) {
  V16 r;
  SLM_LANES r.lane[i] = static_cast<float>(static_cast<int8_t>(p[i]));
  return r;
}
// Of 16 integers of 32 bits, the kBits from bit `shift` on.
template <int kBits, bool kSigned>
SLM_INLINE V16 LoadBits(const uint8_t* p, int shift) {
  V16 r;
  SLM_LANES {
    uint32_t x;
    __builtin_memcpy(&x, p + 4 * i, 4);
    x <<= 32 - kBits - shift;
    r.lane[i] = kSigned ? static_cast<float>(static_cast<int32_t>(x) >> (32 - kBits))
                        : static_cast<float>(static_cast<int32_t>(x >> (32 - kBits)));
  }
  return r;
}
SLM_INLINE void StoreHalf(V16 x, uint8_t* p) {
  SLM_LANES {
    const uint16_t h = FloatToHalf(x.lane[i]);
    __builtin_memcpy(p + 2 * i, &h, 2);
  }
}
// Rounds to nearest even; lanes must be within int8.
SLM_INLINE void StoreInt8(V16 x, int8_t* p) {
  SLM_LANES p[i] = static_cast<int8_t>(static_cast<int>(__builtin_rintf(x.lane[i])));
}
// 32 values, as StoreInt8 has them, and for either 16 the sum of those in lanes with i % 4 < 2, and
// of the others.
SLM_INLINE void StoreInt8Sums(V16 a, V16 b, int8_t* p, int16_t (*pairs)[2]) {
  StoreInt8(a, p);
  StoreInt8(b, p + 16);
  for (int block = 0; block < 2; ++block) {
    int sums[2] = {0, 0};
    SLM_LANES sums[i / 2 % 2] += p[16 * block + i];
    for (int j = 0; j < 2; ++j) pairs[block][j] = static_cast<int16_t>(sums[j]);
  }
}
SLM_INLINE V16 Add(V16 a, V16 b) {
  SLM_LANES a.lane[i] += b.lane[i];
  return a;
}
SLM_INLINE V16 Sub(V16 a, V16 b) {
  SLM_LANES a.lane[i] -= b.lane[i];
  return a;
}
SLM_INLINE V16 Mul(V16 a, V16 b) {
  SLM_LANES a.lane[i] *= b.lane[i];
  return a;
}
SLM_INLINE V16 Div(V16 a, V16 b) {
  SLM_LANES a.lane[i] /= b.lane[i];
  return a;
}
SLM_INLINE V16 Sqrt(V16 a) {
  SLM_LANES a.lane[i] = __builtin_sqrtf(a.lane[i]);
  return a;
}
// a * b + c, rounded once.
SLM_INLINE V16 Fma(V16 a, V16 b, V16 c) {
  SLM_LANES c.lane[i] = __builtin_fmaf(a.lane[i], b.lane[i], c.lane[i]);
  return c;
}
// As the instructions of x86: the second operand when either is NaN.
SLM_INLINE V16 Max(V16 a, V16 b) {
  SLM_LANES a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
  return a;
}
SLM_INLINE V16 Min(V16 a, V16 b) {
  SLM_LANES a.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
  return a;
}
SLM_INLINE V16 Abs(V16 a) {
  SLM_LANES a.lane[i] = __builtin_fabsf(a.lane[i]);
  return a;
}
SLM_INLINE V16 Round(V16 a) {
  SLM_LANES a.lane[i] = __builtin_rintf(a.lane[i]);
  return a;
}
// a * 2^n for whole n in [-126, 127] and results that are normal.
SLM_INLINE V16 TimesPowerOf2(V16 a, V16 n) {
  SLM_LANES {
    const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n.lane[i]) + 127) << 23;
    float power;
    __builtin_memcpy(&power, &bits, 4);
    a.lane[i] *= power;
  }
  return a;
}
// A register of integers of 32 bits, or of as many pairs of 16; and how many of those share a load
// of a pair of activations.
constexpr int kIntLanes = 16, kWordParts = 1;
struct Ints {
  int32_t lane[16];
};
SLM_INLINE Ints ZeroInts() { return {}; }
SLM_INLINE Ints LoadPairs(const uint8_t* p) {
  Ints r;
  __builtin_memcpy(r.lane, p, 64);
  return r;
}
SLM_INLINE Ints SetPair(const int16_t* p) {
  Ints r;
  SLM_LANES __builtin_memcpy(r.lane + i, p, 4);
  return r;
}
// sum += a.first * b.first + a.second * b.second
SLM_INLINE void AddPairs(Ints a, Ints b, Ints* sum) {
  SLM_LANES {
    int16_t x[2], y[2];
    __builtin_memcpy(x, a.lane + i, 4);
    __builtin_memcpy(y, b.lane + i, 4);
    sum->lane[i] += x[0] * y[0] + x[1] * y[1];
  }
}
SLM_INLINE void StoreInts(Ints a, int32_t* p) { SLM_LANES p[i] = a.lane[i]; }
// 16 integers as floats.
SLM_INLINE V16 LoadInts(const int32_t* p) {
  V16 r;
  SLM_LANES r.lane[i] = static_cast<float>(p[i]);
  return r;
}
// Rounded to nearest even; lanes must be within int16.
SLM_INLINE void StoreInt16(V16 x, int16_t* p) {
  SLM_LANES p[i] = static_cast<int16_t>(static_cast<int>(__builtin_rintf(x.lane[i])));
}
// The same as pairs.
SLM_INLINE void StorePairs(V16 first, V16 second, uint8_t* p) {
  int16_t a[16], b[16];
  StoreInt16(first, a);
  StoreInt16(second, b);
  SLM_LANES {
    __builtin_memcpy(p + 4 * i, a + i, 2);
    __builtin_memcpy(p + 4 * i + 2, b + i, 2);
  }
}
// The lanes from `begin` (included) to `end` (excluded); the others become `other`.
SLM_INLINE V16 Select(V16 a, int begin, int end, float other) {
  SLM_LANES if (i < begin || i >= end) a.lane[i] = other;
  return a;
}
// a < b ? x : y; y when either is NaN.
SLM_INLINE V16 IfLess(V16 a, V16 b, V16 x, V16 y) {
  SLM_LANES x.lane[i] = a.lane[i] < b.lane[i] ? x.lane[i] : y.lane[i];
  return x;
}
// table[index], of 16 entries; index is whole and within.
SLM_INLINE V16 Lookup(const float* table, V16 index) {
  SLM_LANES index.lane[i] = table[static_cast<int>(index.lane[i])];
  return index;
}
// Lane i and lane i ^ kDistance change places; kDistance is 1, 2, 4 or 8.
template <int kDistance>
SLM_INLINE V16 SwapLanes(V16 a) {
  V16 r;
  SLM_LANES r.lane[i] = a.lane[i ^ kDistance];
  return r;
}
// Of 32 lanes, those of even index and those of odd; and back.
SLM_INLINE void SplitPairs(V16* a, V16* b) {
  float all[32];
  Store(*a, all);
  Store(*b, all + 16);
  SLM_LANES a->lane[i] = all[2 * i], b->lane[i] = all[2 * i + 1];
}
SLM_INLINE void MergePairs(V16* a, V16* b) {
  float all[32];
  SLM_LANES all[2 * i] = a->lane[i], all[2 * i + 1] = b->lane[i];
  *a = Load(all);
  *b = Load(all + 16);
}
// Always halves: lane i with lane i + 8, then 4, 2, 1.
SLM_INLINE float ReduceAdd(V16 a) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) a.lane[i] += a.lane[i + half];
  return a.lane[0];
}
SLM_INLINE float ReduceMax(V16 a) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i)
      a.lane[i] = a.lane[i] > a.lane[i + half] ? a.lane[i] : a.lane[i + half];
  return a.lane[0];
}

#undef SLM_LANES
