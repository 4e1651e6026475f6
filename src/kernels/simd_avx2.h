// V16 as two 256-bit registers. base/simd_scalar.h says what each function does.

struct V16 {
  __m256 low, high;
};

// Sums that do not wait for each other, beside what is added to them: as many vectors as attention
// takes at once for so many rows.
constexpr int kAccumulators = 4;
// Columns, or rows of queries, that share a load of floats, and columns of bfloat16 and of words.
constexpr int kFloatTile = 6, kBfloatTile = 5, kWordTile = 4;
// Panels of floats that one column reads side by side, where that was measured to be faster.
constexpr int kSideBySide = 4;

SLM_INLINE V16 Set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
SLM_INLINE V16 Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
// Lanes [0, n) set, of 8.
SLM_INLINE __m256i LaneMask(int64_t n) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const int count = n < 0 ? 0 : n > 8 ? 8 : static_cast<int>(n);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), index);
}
SLM_INLINE V16 LoadN(const float* p, int64_t n) {
  if (n >= 16) return Load(p);
  return {_mm256_maskload_ps(p, LaneMask(n)), _mm256_maskload_ps(p + 8, LaneMask(n - 8))};
}
SLM_INLINE void Store(V16 x, float* p) {
  _mm256_storeu_ps(p, x.low);
  _mm256_storeu_ps(p + 8, x.high);
}
SLM_INLINE void StoreN(V16 x, float* p, int64_t n) {
  if (n >= 16) return Store(x, p);  // masked stores take tens of cycles on some CPUs
  _mm256_maskstore_ps(p, LaneMask(n), x.low);
  _mm256_maskstore_ps(p + 8, LaneMask(n - 8), x.high);
}
SLM_INLINE __m128i LoadBytes(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
SLM_INLINE V16 LoadHalf(const uint8_t* p) {
  return {_mm256_cvtph_ps(LoadBytes(p)), _mm256_cvtph_ps(LoadBytes(p + 16))};
}
// Of pairs of bfloat16 in 32-bit lanes.
SLM_INLINE __m256 FirstOfPairs(__m256i x) { return _mm256_castsi256_ps(_mm256_slli_epi32(x, 16)); }
SLM_INLINE __m256 SecondOfPairs(__m256i x) {
  return _mm256_castsi256_ps(_mm256_and_si256(x, _mm256_set1_epi32(-0x10000)));
}
SLM_INLINE void LoadBfloatPairs(const uint8_t* p, V16* first, V16* second) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
  *first = {FirstOfPairs(low), FirstOfPairs(high)};
  *second = {SecondOfPairs(low), SecondOfPairs(high)};
}
SLM_INLINE V16 LoadInt8(const uint8_t* p) {
  const __m128i x = LoadBytes(p);
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)))};
}
template <int kBits, bool kSigned>
SLM_INLINE __m256 BitsOf(const uint8_t* p, int shift) {
  const __m256i x = _mm256_slli_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                                      32 - kBits - shift);
  return _mm256_cvtepi32_ps(kSigned ? _mm256_srai_epi32(x, 32 - kBits)
                                    : _mm256_srli_epi32(x, 32 - kBits));
}
template <int kBits, bool kSigned>
SLM_INLINE V16 LoadBits(const uint8_t* p, int shift) {
  return {BitsOf<kBits, kSigned>(p, shift), BitsOf<kBits, kSigned>(p + 32, shift)};
}
SLM_INLINE void StoreHalf(V16 x, uint8_t* p) {
  const int nearest = _MM_FROUND_TO_NEAREST_INT;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x.low, nearest));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 16), _mm256_cvtps_ph(x.high, nearest));
}
SLM_INLINE void StoreInt8(V16 x, int8_t* p) {
  const __m256i words = _mm256_permute4x64_epi64(
      _mm256_packs_epi32(_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)), 0xd8);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}
SLM_INLINE void StoreInt8Sums(V16 a, V16 b, int8_t* p, int16_t (*pairs)[2]) {
  const __m256i low = _mm256_packs_epi32(_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high));
  const __m256i high = _mm256_packs_epi32(_mm256_cvtps_epi32(b.low), _mm256_cvtps_epi32(b.high));
  // Quarters of four bytes lie as a0 a2 b0 b2 a1 a3 b1 b3.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bytes);
  __m256i sums = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);  // of two neighbours
  sums = _mm256_add_epi16(sums, _mm256_shuffle_epi32(sums, 0x4e));
  sums = _mm256_add_epi16(sums, _mm256_shuffle_epi32(sums, 0xb1));
  const __m128i both =
      _mm_unpacklo_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(pairs), both);
}
SLM_INLINE V16 Add(V16 a, V16 b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
SLM_INLINE V16 Sub(V16 a, V16 b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
SLM_INLINE V16 Mul(V16 a, V16 b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
SLM_INLINE V16 Div(V16 a, V16 b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
SLM_INLINE V16 Sqrt(V16 a) { return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }
SLM_INLINE V16 Fma(V16 a, V16 b, V16 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
SLM_INLINE V16 Max(V16 a, V16 b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
SLM_INLINE V16 Min(V16 a, V16 b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
SLM_INLINE V16 Abs(V16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
SLM_INLINE V16 Round(V16 a) {
  const int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.low, nearest), _mm256_round_ps(a.high, nearest)};
}
SLM_INLINE __m256 PowerOf2(__m256 n) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
SLM_INLINE V16 TimesPowerOf2(V16 a, V16 n) { return Mul(a, {PowerOf2(n.low), PowerOf2(n.high)}); }
constexpr int kIntLanes = 8, kWordParts = 2;
struct Ints {
  __m256i x;
};
SLM_INLINE Ints ZeroInts() { return {_mm256_setzero_si256()}; }
SLM_INLINE Ints LoadPairs(const uint8_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
SLM_INLINE Ints SetPair(const int16_t* p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return {_mm256_set1_epi32(pair)};
}
SLM_INLINE void AddPairs(Ints a, Ints b, Ints* sum) {
  sum->x = _mm256_add_epi32(sum->x, _mm256_madd_epi16(a.x, b.x));
  asm("" : "+x"(sum->x));  // or gcc 12 copies all sums in every step
}
SLM_INLINE void StoreInts(Ints a, int32_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.x);
}
SLM_INLINE V16 LoadInts(const int32_t* p) {
  const __m256i* from = reinterpret_cast<const __m256i*>(p);
  return {_mm256_cvtepi32_ps(_mm256_loadu_si256(from)),
          _mm256_cvtepi32_ps(_mm256_loadu_si256(from + 1))};
}
SLM_INLINE void StoreInt16(V16 x, int16_t* p) {
  const __m256i words = _mm256_permute4x64_epi64(
      _mm256_packs_epi32(_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)), 0xd8);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), words);
}
SLM_INLINE __m256i PairHalf(__m256 first, __m256 second) {
  return _mm256_blend_epi16(_mm256_cvtps_epi32(first),
                            _mm256_slli_epi32(_mm256_cvtps_epi32(second), 16), 0xaa);
}
SLM_INLINE void StorePairs(V16 first, V16 second, uint8_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), PairHalf(first.low, second.low));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), PairHalf(first.high, second.high));
}
SLM_INLINE __m256 SelectHalf(__m256 a, int begin, int end, __m256 other) {
  const __m256i inside = _mm256_andnot_si256(LaneMask(begin), LaneMask(end));
  return _mm256_blendv_ps(other, a, _mm256_castsi256_ps(inside));
}
SLM_INLINE V16 Select(V16 a, int begin, int end, float other) {
  const __m256 o = _mm256_set1_ps(other);
  return {SelectHalf(a.low, begin, end, o), SelectHalf(a.high, begin - 8, end - 8, o)};
}
SLM_INLINE V16 IfLess(V16 a, V16 b, V16 x, V16 y) {
  return {_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
}
SLM_INLINE __m256 LookupHalf(const float* table, __m256 index) {
  const __m256i i = _mm256_cvtps_epi32(index);
  const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i);
  const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), i);
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}
SLM_INLINE V16 Lookup(const float* table, V16 index) {
  return {LookupHalf(table, index.low), LookupHalf(table, index.high)};
}
template <int kDistance>
SLM_INLINE __m256 SwapInHalf(__m256 a) {
  if constexpr (kDistance == 4) return _mm256_permute2f128_ps(a, a, 1);
  return _mm256_permute_ps(a, kDistance == 2 ? 0x4e : 0xb1);
}
template <int kDistance>
SLM_INLINE V16 SwapLanes(V16 a) {
  if constexpr (kDistance == 8) return {a.high, a.low};
  return {SwapInHalf<kDistance>(a.low), SwapInHalf<kDistance>(a.high)};
}
SLM_INLINE __m256 SwapMiddle(__m256 x) {  // quarters 1 and 2
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), 0xd8));
}
SLM_INLINE void SplitPairs(V16* a, V16* b) {
  const V16 x = *a, y = *b;
  *a = {SwapMiddle(_mm256_shuffle_ps(x.low, x.high, 0x88)),
        SwapMiddle(_mm256_shuffle_ps(y.low, y.high, 0x88))};
  *b = {SwapMiddle(_mm256_shuffle_ps(x.low, x.high, 0xdd)),
        SwapMiddle(_mm256_shuffle_ps(y.low, y.high, 0xdd))};
}
SLM_INLINE V16 Merge(__m256 even, __m256 odd) {
  const __m256 low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
  return {_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)};
}
SLM_INLINE void MergePairs(V16* a, V16* b) {
  const V16 even = *a, odd = *b;
  *a = Merge(even.low, odd.low);
  *b = Merge(even.high, odd.high);
}
SLM_INLINE float ReduceAdd(V16 a) {
  const __m256 x = _mm256_add_ps(a.low, a.high);
  __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  y = _mm_add_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}
SLM_INLINE float ReduceMax(V16 a) {
  const __m256 x = _mm256_max_ps(a.low, a.high);
  __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  y = _mm_max_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}
