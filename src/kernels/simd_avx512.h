// V16 as one 512-bit register. base/simd_scalar.h says what each function does.

struct V16 {
  __m512 x;
};

// Sums that are kept in registers, beside what is added to them.
constexpr int kAccumulators = 16;
// Columns, or rows of queries, that share a load of floats, and columns of bfloat16 and of words.
constexpr int kFloatTile = 8, kBfloatTile = 8, kWordTile = 12;
// Panels of floats that one column reads side by side, where that was measured to be faster.
constexpr int kSideBySide = 1;

SLM_INLINE __mmask16 LaneMask(int64_t n) {
  return static_cast<__mmask16>(n <= 0 ? 0 : n >= 16 ? 0xffff : (1 << n) - 1);
}
SLM_INLINE V16 Set(float x) { return {_mm512_set1_ps(x)}; }
SLM_INLINE V16 Load(const float* p) { return {_mm512_loadu_ps(p)}; }
SLM_INLINE V16 LoadN(const float* p, int64_t n) {
  return n >= 16 ? Load(p) : V16{_mm512_maskz_loadu_ps(LaneMask(n), p)};
}
SLM_INLINE void Store(V16 x, float* p) { _mm512_storeu_ps(p, x.x); }
SLM_INLINE void StoreN(V16 x, float* p, int64_t n) {
  if (n >= 16) return Store(x, p);
  _mm512_mask_storeu_ps(p, LaneMask(n), x.x);
}
SLM_INLINE __m256i LoadWords(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
SLM_INLINE V16 LoadHalf(const uint8_t* p) { return {_mm512_cvtph_ps(LoadWords(p))}; }
// Of pairs of bfloat16 in 32-bit lanes.
SLM_INLINE void SplitBfloatPairs(__m512i x, V16* first, V16* second) {
  first->x = _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
  second->x = _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(-0x10000)));
}
SLM_INLINE void LoadBfloatPairs(const uint8_t* p, V16* first, V16* second) {
  SplitBfloatPairs(_mm512_loadu_si512(p), first, second);
}
SLM_INLINE V16 LoadInt8(const uint8_t* p) {
  const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x))};
}
template <int kBits, bool kSigned>
SLM_INLINE V16 LoadBits(const uint8_t* p, int shift) {
  const __m512i x =
      _mm512_slli_epi32(_mm512_loadu_si512(p), static_cast<unsigned>(32 - kBits - shift));
  return {_mm512_cvtepi32_ps(kSigned ? _mm512_srai_epi32(x, 32 - kBits)
                                     : _mm512_srli_epi32(x, 32 - kBits))};
}
SLM_INLINE void StoreHalf(V16 x, uint8_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(x.x, _MM_FROUND_TO_NEAREST_INT));
}
SLM_INLINE void StoreInt8(V16 x, int8_t* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(x.x)));
}
SLM_INLINE void StoreInt8Sums(V16 a, V16 b, int8_t* p, int16_t (*pairs)[2]) {
  const __m128i low = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(a.x));
  const __m128i high = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(b.x));
  const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bytes);
  __m256i sums = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);  // of two neighbours
  sums = _mm256_add_epi16(sums, _mm256_shuffle_epi32(sums, 0x4e));
  sums = _mm256_add_epi16(sums, _mm256_shuffle_epi32(sums, 0xb1));
  const __m128i both =
      _mm_unpacklo_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(pairs), both);
}
SLM_INLINE V16 Add(V16 a, V16 b) { return {_mm512_add_ps(a.x, b.x)}; }
SLM_INLINE V16 Sub(V16 a, V16 b) { return {_mm512_sub_ps(a.x, b.x)}; }
SLM_INLINE V16 Mul(V16 a, V16 b) { return {_mm512_mul_ps(a.x, b.x)}; }
SLM_INLINE V16 Div(V16 a, V16 b) { return {_mm512_div_ps(a.x, b.x)}; }
SLM_INLINE V16 Sqrt(V16 a) { return {_mm512_sqrt_ps(a.x)}; }
SLM_INLINE V16 Fma(V16 a, V16 b, V16 c) { return {_mm512_fmadd_ps(a.x, b.x, c.x)}; }
SLM_INLINE V16 Max(V16 a, V16 b) { return {_mm512_max_ps(a.x, b.x)}; }
SLM_INLINE V16 Min(V16 a, V16 b) { return {_mm512_min_ps(a.x, b.x)}; }
SLM_INLINE V16 Abs(V16 a) { return {_mm512_abs_ps(a.x)}; }
SLM_INLINE V16 Round(V16 a) {
  return {_mm512_roundscale_ps(a.x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
SLM_INLINE V16 TimesPowerOf2(V16 a, V16 n) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.x), _mm512_set1_epi32(127));
  return Mul(a, {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))});
}
SLM_INLINE V16 Select(V16 a, int begin, int end, float other) {
  const auto inside = static_cast<__mmask16>(LaneMask(end) & ~LaneMask(begin));
  return {_mm512_mask_blend_ps(inside, _mm512_set1_ps(other), a.x)};
}
SLM_INLINE V16 IfLess(V16 a, V16 b, V16 x, V16 y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.x, b.x, _CMP_LT_OQ), y.x, x.x)};
}
SLM_INLINE V16 Lookup(const float* table, V16 index) {
  return {_mm512_permutexvar_ps(_mm512_cvtps_epi32(index.x), _mm512_loadu_ps(table))};
}
template <int kDistance>
SLM_INLINE V16 SwapLanes(V16 a) {
  if constexpr (kDistance == 8) return {_mm512_shuffle_f32x4(a.x, a.x, 0x4e)};
  if constexpr (kDistance == 4) return {_mm512_shuffle_f32x4(a.x, a.x, 0xb1)};
  return {_mm512_permute_ps(a.x, kDistance == 2 ? 0x4e : 0xb1)};
}
// Lanes kFirst, kFirst + kThen, kFirst + kStep, kFirst + kStep + kThen, .. of both.
template <int kFirst, int kThen, int kStep>
SLM_INLINE V16 Choose(V16 a, V16 b) {
  struct Index {
    int lane[16];
  };
  static constexpr Index kIndex = [] {
    Index index = {};
    for (int i = 0; i < 16; ++i) index.lane[i] = kFirst + i % 2 * kThen + i / 2 * kStep;
    return index;
  }();
  return {_mm512_permutex2var_ps(a.x, _mm512_loadu_si512(kIndex.lane), b.x)};
}
SLM_INLINE void SplitPairs(V16* a, V16* b) {
  const V16 even = Choose<0, 2, 4>(*a, *b);
  *b = Choose<1, 2, 4>(*a, *b);
  *a = even;
}
SLM_INLINE void MergePairs(V16* a, V16* b) {
  const V16 low = Choose<0, 16, 1>(*a, *b);
  *b = Choose<8, 16, 1>(*a, *b);
  *a = low;
}
SLM_INLINE float ReduceAdd(V16 a) {
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.x), 1));
  const __m256 x = _mm256_add_ps(_mm512_castps512_ps256(a.x), high);
  __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  y = _mm_add_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}
SLM_INLINE float ReduceMax(V16 a) {
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.x), 1));
  const __m256 x = _mm256_max_ps(_mm512_castps512_ps256(a.x), high);
  __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  y = _mm_max_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

constexpr int kIntLanes = 16, kWordParts = 1;
struct Ints {
  __m512i x;
};
SLM_INLINE Ints ZeroInts() { return {_mm512_setzero_si512()}; }
SLM_INLINE Ints LoadPairs(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
SLM_INLINE Ints SetPair(const int16_t* p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return {_mm512_set1_epi32(pair)};
}
SLM_INLINE void AddPairs(Ints a, Ints b, Ints* sum) {
  sum->x = _mm512_dpwssd_epi32(sum->x, a.x, b.x);
}
SLM_INLINE void StoreInts(Ints a, int32_t* p) { _mm512_storeu_si512(p, a.x); }
SLM_INLINE V16 LoadInts(const int32_t* p) { return {_mm512_cvtepi32_ps(_mm512_loadu_si512(p))}; }
SLM_INLINE void StoreInt16(V16 x, int16_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(x.x)));
}
SLM_INLINE void StorePairs(V16 first, V16 second, uint8_t* p) {
  const __m512i low = _mm512_and_si512(_mm512_cvtps_epi32(first.x), _mm512_set1_epi32(0xffff));
  const __m512i high = _mm512_slli_epi32(_mm512_cvtps_epi32(second.x), 16);
  _mm512_storeu_si512(p, _mm512_or_si512(low, high));
}
