// The intrinsics that src/kernels/matmul_avx512.cpp and what it includes use, in plain C++ and by
// the same names, so that AVX-512 code can be tested on any machine. Each function does what
// Intel's Intrinsics Guide says of its instruction, under the default MXCSR: round to nearest even,
// subnormals kept. Instead of <immintrin.h>: both cannot be in one source file.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

// Registers are bytes: as with the hardware, an instruction says what elements they are. The tag
// keeps float, double and integer registers apart.
template <int kBytes, char kTag>
struct EmulatedRegister {
  uint8_t byte[kBytes];
};
using __m128 = EmulatedRegister<16, 's'>;
using __m128i = EmulatedRegister<16, 'i'>;
using __m256 = EmulatedRegister<32, 's'>;
using __m256d = EmulatedRegister<32, 'd'>;
using __m256i = EmulatedRegister<32, 'i'>;
using __m512 = EmulatedRegister<64, 's'>;
using __m512d = EmulatedRegister<64, 'd'>;
using __m512i = EmulatedRegister<64, 'i'>;
using __mmask16 = uint16_t;

#define _MM_FROUND_TO_NEAREST_INT 0x00
#define _MM_FROUND_NO_EXC 0x08
#define _CMP_LT_OQ 0x11

namespace emulated {

template <class T, class Register>
inline T Get(const Register& a, int i) {
  T x;
  std::memcpy(&x, a.byte + i * static_cast<int>(sizeof(T)), sizeof(T));
  return x;
}
template <class Register, class T>
inline void Put(Register* a, int i, T x) {
  std::memcpy(a->byte + i * static_cast<int>(sizeof(T)), &x, sizeof(T));
}
template <class Register, class T>
inline Register Fill(T x) {
  Register r;
  for (int i = 0; i < static_cast<int>(sizeof r / sizeof x); ++i) Put(&r, i, x);
  return r;
}

// r[i] = f(a[i]) and f(a[i], b[i]), element by element of type T.
template <class T, class Register, class F>
inline Register Map(const Register& a, const F& f) {
  Register r;
  for (int i = 0; i < static_cast<int>(sizeof r / sizeof(T)); ++i)
    Put<Register, T>(&r, i, f(Get<T>(a, i)));
  return r;
}
template <class T, class Register, class F>
inline Register Map(const Register& a, const Register& b, const F& f) {
  Register r;
  for (int i = 0; i < static_cast<int>(sizeof r / sizeof(T)); ++i)
    Put<Register, T>(&r, i, f(Get<T>(a, i), Get<T>(b, i)));
  return r;
}
// 16 elements of From become 16 of To.
template <class From, class To, class Result, class Register, class F>
inline Result Convert(const Register& a, const F& f) {
  static_assert(sizeof(Result) == 16 * sizeof(To) && sizeof(Register) == 16 * sizeof(From));
  Result r;
  for (int i = 0; i < 16; ++i) Put<Result, To>(&r, i, f(Get<From>(a, i)));
  return r;
}
template <class To, class From>
inline To Cast(const From& a) {  // the low bytes
  static_assert(sizeof(To) <= sizeof(From));
  To r;
  std::memcpy(&r, &a, sizeof r);
  return r;
}
template <class Register>
inline Register LoadBytes(const void* p) {
  Register r;
  std::memcpy(&r, p, sizeof r);
  return r;
}

// As MAXPS and MINPS: the second operand when either is NaN or both are zero.
inline float Max(float a, float b) { return a > b ? a : b; }
inline float Min(float a, float b) { return a < b ? a : b; }

// Half to float and back by arithmetic on values; src/base/half.h works on bits.
inline float FromHalf(uint16_t h) {
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  const float sign = h & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) {
    if (fraction == 0) return sign * std::numeric_limits<float>::infinity();
    const uint32_t bits = static_cast<uint32_t>(h & 0x8000) << 16 | 0x7fc00000u |
                          static_cast<uint32_t>(fraction) << 13;
    float nan;
    std::memcpy(&nan, &bits, 4);
    return nan;
  }
  const int mantissa = exponent == 0 ? fraction : fraction + 1024;
  return sign * std::ldexp(static_cast<float>(mantissa), (exponent == 0 ? 1 : exponent) - 25);
}
inline uint16_t ToHalf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const uint32_t sign = bits >> 16 & 0x8000;
  if (std::isnan(x)) return static_cast<uint16_t>(sign | 0x7e00 | (bits >> 13 & 0x3ff));
  const double size = std::fabs(static_cast<double>(x));
  if (size >= 65520) return static_cast<uint16_t>(sign | 0x7c00);
  const int exponent = size < 0x1p-14 ? -14 : std::ilogb(size);
  // In units of the last place; 2048 of them carry into the exponent by themselves.
  const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  return static_cast<uint16_t>(
      sign | (units < 1024 ? units : (static_cast<uint32_t>(exponent + 14) << 10) + units));
}
// As CVTPS2DQ: what does not fit becomes INT32_MIN.
inline int32_t ToInt32(float x) {
  const float rounded = std::nearbyint(x);
  if (!(rounded >= -0x1p31f && rounded < 0x1p31f)) return std::numeric_limits<int32_t>::min();
  return static_cast<int32_t>(rounded);
}

}  // namespace emulated

// --- 128 bits

inline __m128 _mm_add_ps(__m128 a, __m128 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x + y; });
}
inline __m128 _mm_max_ps(__m128 a, __m128 b) { return emulated::Map<float>(a, b, emulated::Max); }
// The _ss forms: element 0; the others are a's.
inline __m128 _mm_add_ss(__m128 a, __m128 b) {
  emulated::Put(&a, 0, emulated::Get<float>(a, 0) + emulated::Get<float>(b, 0));
  return a;
}
inline __m128 _mm_max_ss(__m128 a, __m128 b) {
  emulated::Put(&a, 0, emulated::Max(emulated::Get<float>(a, 0), emulated::Get<float>(b, 0)));
  return a;
}
inline float _mm_cvtss_f32(__m128 a) { return emulated::Get<float>(a, 0); }
// {b2, b3, a2, a3}
inline __m128 _mm_movehl_ps(__m128 a, __m128 b) {
  std::memcpy(a.byte, b.byte + 8, 8);
  return a;
}
// {a1, a1, a3, a3}
inline __m128 _mm_movehdup_ps(__m128 a) {
  std::memcpy(a.byte, a.byte + 4, 4);
  std::memcpy(a.byte + 8, a.byte + 12, 4);
  return a;
}
inline __m128i _mm_loadu_si128(const __m128i* p) { return emulated::LoadBytes<__m128i>(p); }
inline void _mm_storeu_si128(__m128i* p, __m128i a) { std::memcpy(p, &a, sizeof a); }
inline __m128i _mm_set1_epi8(int x) { return emulated::Fill<__m128i>(static_cast<int8_t>(x)); }
inline __m128i _mm_xor_si128(__m128i a, __m128i b) {
  return emulated::Map<uint8_t>(a, b, [](int x, int y) { return static_cast<uint8_t>(x ^ y); });
}

inline __m128i _mm_unpacklo_epi32(__m128i a, __m128i b) {
  __m128i r;
  for (int i = 0; i < 4; ++i) std::memcpy(r.byte + 4 * i, (i % 2 ? b : a).byte + i / 2 * 4, 4);
  return r;
}
inline void _mm_storel_epi64(__m128i* p, __m128i a) { std::memcpy(p, &a, 8); }

// --- 256 bits

inline __m256 _mm256_add_ps(__m256 a, __m256 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x + y; });
}
inline __m256 _mm256_max_ps(__m256 a, __m256 b) {
  return emulated::Map<float>(a, b, emulated::Max);
}
inline __m256 _mm256_castpd_ps(__m256d a) { return emulated::Cast<__m256>(a); }
inline __m128 _mm256_castps256_ps128(__m256 a) { return emulated::Cast<__m128>(a); }
inline __m128 _mm256_extractf128_ps(__m256 a, int half) {
  return emulated::LoadBytes<__m128>(a.byte + 16 * (half & 1));
}
inline __m256i _mm256_loadu_si256(const __m256i* p) { return emulated::LoadBytes<__m256i>(p); }
inline void _mm256_storeu_si256(__m256i* p, __m256i a) { std::memcpy(p, &a, sizeof a); }
inline __m256i _mm256_set1_epi8(int x) { return emulated::Fill<__m256i>(static_cast<int8_t>(x)); }
inline __m256i _mm256_set1_epi16(int x) { return emulated::Fill<__m256i>(static_cast<int16_t>(x)); }
inline __m128i _mm256_castsi256_si128(__m256i a) { return emulated::Cast<__m128i>(a); }
inline __m128i _mm256_extracti128_si256(__m256i a, int half) {
  return emulated::LoadBytes<__m128i>(a.byte + 16 * (half & 1));
}
inline __m256i _mm256_castsi128_si256(__m128i a) {  // the high half may be anything
  __m256i r = emulated::Fill<__m256i>(int8_t{-1});
  std::memcpy(r.byte, a.byte, 16);
  return r;
}
inline __m256i _mm256_inserti128_si256(__m256i a, __m128i b, int half) {
  std::memcpy(a.byte + 16 * (half & 1), b.byte, 16);
  return a;
}
inline __m256i _mm256_add_epi16(__m256i a, __m256i b) {
  return emulated::Map<uint16_t>(a, b, [](int x, int y) { return static_cast<uint16_t>(x + y); });
}
// Products of unsigned and signed bytes, added by twos with saturation.
inline __m256i _mm256_maddubs_epi16(__m256i a, __m256i b) {
  __m256i r;
  for (int i = 0; i < 16; ++i) {
    int sum = 0;
    for (int j = 2 * i; j < 2 * i + 2; ++j)
      sum += emulated::Get<uint8_t>(a, j) * emulated::Get<int8_t>(b, j);
    emulated::Put(&r, i, static_cast<int16_t>(sum < -32768 ? -32768 : sum > 32767 ? 32767 : sum));
  }
  return r;
}
// Two bits of the control for each of four elements, within halves.
inline __m256i _mm256_shuffle_epi32(__m256i a, int control) {
  __m256i r;
  for (int i = 0; i < 8; ++i)
    emulated::Put(&r, i, emulated::Get<int32_t>(a, i / 4 * 4 + (control >> (2 * (i % 4)) & 3)));
  return r;
}

// --- 512 bits: memory, constants, casts

inline __m512 _mm512_loadu_ps(const void* p) { return emulated::LoadBytes<__m512>(p); }
inline __m512i _mm512_loadu_si512(const void* p) { return emulated::LoadBytes<__m512i>(p); }
inline void _mm512_storeu_ps(void* p, __m512 a) { std::memcpy(p, &a, sizeof a); }
inline void _mm512_storeu_si512(void* p, __m512i a) { std::memcpy(p, &a, sizeof a); }
// Elements that are masked out are not touched in memory.
inline __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const void* p) {
  __m512 r = emulated::Fill<__m512>(0.0f);
  for (int i = 0; i < 16; ++i)
    if (mask >> i & 1) std::memcpy(r.byte + 4 * i, static_cast<const uint8_t*>(p) + 4 * i, 4);
  return r;
}
inline void _mm512_mask_storeu_ps(void* p, __mmask16 mask, __m512 a) {
  for (int i = 0; i < 16; ++i)
    if (mask >> i & 1) std::memcpy(static_cast<uint8_t*>(p) + 4 * i, a.byte + 4 * i, 4);
}
inline __m512 _mm512_setzero_ps() { return emulated::Fill<__m512>(0.0f); }
inline __m512i _mm512_setzero_si512() { return emulated::Fill<__m512i>(int32_t{0}); }
inline __m512 _mm512_set1_ps(float x) { return emulated::Fill<__m512>(x); }
inline __m512i _mm512_set1_epi8(int x) { return emulated::Fill<__m512i>(static_cast<int8_t>(x)); }
inline __m512i _mm512_set1_epi16(int x) { return emulated::Fill<__m512i>(static_cast<int16_t>(x)); }
inline __m512i _mm512_set1_epi32(int x) { return emulated::Fill<__m512i>(x); }
inline __m256 _mm512_castps512_ps256(__m512 a) { return emulated::Cast<__m256>(a); }
inline __m512d _mm512_castps_pd(__m512 a) { return emulated::Cast<__m512d>(a); }
inline __m512i _mm512_castps_si512(__m512 a) { return emulated::Cast<__m512i>(a); }
inline __m512 _mm512_castsi512_ps(__m512i a) { return emulated::Cast<__m512>(a); }
inline __m256d _mm512_extractf64x4_pd(__m512d a, int half) {
  return emulated::LoadBytes<__m256d>(a.byte + 32 * (half & 1));
}
inline __m512i _mm512_broadcast_i32x4(__m128i a) {
  __m512i r;
  for (int i = 0; i < 4; ++i) std::memcpy(r.byte + 16 * i, a.byte, 16);
  return r;
}

// --- 512 bits: floats

inline __m512 _mm512_add_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x + y; });
}
inline __m512 _mm512_sub_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x - y; });
}
inline __m512 _mm512_mul_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x * y; });
}
inline __m512 _mm512_div_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x / y; });
}
inline __m512 _mm512_sqrt_ps(__m512 a) {
  return emulated::Map<float>(a, a, [](float x, float) { return std::sqrt(x); });
}
inline __m512 _mm512_max_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, emulated::Max);
}
inline __m512 _mm512_min_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, emulated::Min);
}
inline __m512 _mm512_abs_ps(__m512 a) {
  return emulated::Map<uint32_t>(a, [](uint32_t x) { return x & 0x7fffffffu; });
}
// a * b + c and -(a * b) + c, rounded once.
inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  for (int i = 0; i < 16; ++i)
    emulated::Put(&c, i,
                  __builtin_fmaf(emulated::Get<float>(a, i), emulated::Get<float>(b, i),
                                 emulated::Get<float>(c, i)));
  return c;
}
inline __m512 _mm512_fnmadd_ps(__m512 a, __m512 b, __m512 c) {
  for (int i = 0; i < 16; ++i)
    emulated::Put(&c, i,
                  __builtin_fmaf(-emulated::Get<float>(a, i), emulated::Get<float>(b, i),
                                 emulated::Get<float>(c, i)));
  return c;
}
// Bits 2..0 of the control choose the rounding; only nearest even, without a scale, is here.
inline __m512 _mm512_roundscale_ps(__m512 a, int control) {
  if ((control & ~_MM_FROUND_NO_EXC) != _MM_FROUND_TO_NEAREST_INT) __builtin_trap();
  return emulated::Map<float>(a, [](float x) { return std::nearbyint(x); });
}
inline __m512 _mm512_mask_blend_ps(__mmask16 mask, __m512 a, __m512 b) {
  for (int i = 0; i < 16; ++i)
    if (mask >> i & 1) std::memcpy(a.byte + 4 * i, b.byte + 4 * i, 4);
  return a;
}

inline __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
  if (predicate != _CMP_LT_OQ) __builtin_trap();  // only "less than" is here
  int mask = 0;
  for (int i = 0; i < 16; ++i)
    mask |= (emulated::Get<float>(a, i) < emulated::Get<float>(b, i)) << i;
  return static_cast<__mmask16>(mask);
}
// Four bits of each index choose an element of a.
inline __m512 _mm512_permutexvar_ps(__m512i index, __m512 a) {
  __m512 r;
  for (int i = 0; i < 16; ++i)
    emulated::Put(&r, i, emulated::Get<float>(a, emulated::Get<int32_t>(index, i) & 15));
  return r;
}
// Five bits of each index: four choose an element, of b when the fifth is set.
inline __m512 _mm512_permutex2var_ps(__m512 a, __m512i index, __m512 b) {
  __m512 r;
  for (int i = 0; i < 16; ++i) {
    const int at = emulated::Get<int32_t>(index, i);
    emulated::Put(&r, i, emulated::Get<float>(at & 16 ? b : a, at & 15));
  }
  return r;
}
// Two bits of the control for each of four elements: within quarters, and of quarters, of which a
// gives the lower two and b the upper two.
inline __m512 _mm512_permute_ps(__m512 a, int control) {
  __m512 r;
  for (int i = 0; i < 16; ++i)
    emulated::Put(&r, i, emulated::Get<float>(a, i / 4 * 4 + (control >> (2 * (i % 4)) & 3)));
  return r;
}
inline __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, int control) {
  __m512 r;
  for (int q = 0; q < 4; ++q)
    std::memcpy(r.byte + 16 * q, (q < 2 ? a : b).byte + 16 * (control >> (2 * q) & 3), 16);
  return r;
}

// --- 512 bits: conversions

inline __m512 _mm512_cvtepi32_ps(__m512i a) {
  return emulated::Convert<int32_t, float, __m512>(a,
                                                   [](int32_t x) { return static_cast<float>(x); });
}
inline __m512i _mm512_cvtps_epi32(__m512 a) {
  return emulated::Convert<float, int32_t, __m512i>(a, emulated::ToInt32);
}
inline __m512i _mm512_cvtepi8_epi32(__m128i a) {
  return emulated::Convert<int8_t, int32_t, __m512i>(a, [](int8_t x) { return int32_t{x}; });
}
inline __m512i _mm512_cvtepu16_epi32(__m256i a) {
  return emulated::Convert<uint16_t, uint32_t, __m512i>(a, [](uint16_t x) { return uint32_t{x}; });
}
// With saturation.
inline __m128i _mm512_cvtsepi32_epi8(__m512i a) {
  return emulated::Convert<int32_t, int8_t, __m128i>(a, [](int32_t x) {
    return static_cast<int8_t>(x < -128 ? -128 : x > 127 ? 127 : x);
  });
}
inline __m512 _mm512_cvtph_ps(__m256i a) {
  return emulated::Convert<uint16_t, float, __m512>(a, emulated::FromHalf);
}
inline __m256i _mm512_cvtps_ph(__m512 a, int rounding) {
  if ((rounding & ~_MM_FROUND_NO_EXC) != _MM_FROUND_TO_NEAREST_INT) __builtin_trap();
  return emulated::Convert<float, uint16_t, __m256i>(a, emulated::ToHalf);
}

// --- 512 bits: integers, which wrap

inline __m512i _mm512_and_si512(__m512i a, __m512i b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x & y; });
}
inline __m512i _mm512_or_si512(__m512i a, __m512i b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x | y; });
}
inline __m512i _mm512_xor_si512(__m512i a, __m512i b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x ^ y; });
}
inline __m512i _mm512_add_epi8(__m512i a, __m512i b) {
  return emulated::Map<uint8_t>(a, b, [](int x, int y) { return static_cast<uint8_t>(x + y); });
}
inline __m512i _mm512_add_epi16(__m512i a, __m512i b) {
  return emulated::Map<uint16_t>(a, b, [](int x, int y) { return static_cast<uint16_t>(x + y); });
}
inline __m512i _mm512_add_epi32(__m512i a, __m512i b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x + y; });
}
// Sums of all elements, wrapping.
inline int _mm512_reduce_add_epi32(__m512i a) {
  uint32_t sum = 0;
  for (int i = 0; i < 16; ++i) sum += emulated::Get<uint32_t>(a, i);
  return static_cast<int>(sum);
}
inline long long _mm512_reduce_add_epi64(__m512i a) {
  uint64_t sum = 0;
  for (int i = 0; i < 8; ++i) sum += emulated::Get<uint64_t>(a, i);
  return static_cast<long long>(sum);
}
inline __m512i _mm512_mullo_epi32(__m512i a, __m512i b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x * y; });
}
// Shifts of whole elements by one count; counts past the element's width give zero.
inline __m512i _mm512_slli_epi16(__m512i a, unsigned count) {
  return emulated::Map<uint16_t>(
      a, [count](uint32_t x) { return static_cast<uint16_t>(count > 15 ? 0 : x << count); });
}
inline __m512i _mm512_srli_epi16(__m512i a, unsigned count) {
  return emulated::Map<uint16_t>(
      a, [count](uint32_t x) { return static_cast<uint16_t>(count > 15 ? 0 : x >> count); });
}
inline __m512i _mm512_slli_epi32(__m512i a, unsigned count) {
  return emulated::Map<uint32_t>(a, [count](uint32_t x) { return count > 31 ? 0 : x << count; });
}
inline __m512i _mm512_srli_epi32(__m512i a, unsigned count) {
  return emulated::Map<uint32_t>(a, [count](uint32_t x) { return count > 31 ? 0 : x >> count; });
}
// Signs move in; counts past the width are as 31.
inline __m512i _mm512_srai_epi32(__m512i a, unsigned count) {
  return emulated::Map<int32_t>(a, [count](int32_t x) { return x >> (count > 31 ? 31 : count); });
}
// Within each 16 bytes: byte i is a's byte number (index & 15), or zero when the index is negative.
inline __m512i _mm512_shuffle_epi8(__m512i a, __m512i index) {
  __m512i r;
  for (int i = 0; i < 64; ++i) {
    const uint8_t from = index.byte[i];
    r.byte[i] = from & 0x80 ? uint8_t{0} : a.byte[i / 16 * 16 + (from & 15)];
  }
  return r;
}
// Sums of two neighbouring products of signed 16-bit elements; only four times -32768 wraps.
inline __m512i _mm512_madd_epi16(__m512i a, __m512i b) {
  __m512i r;
  for (int i = 0; i < 16; ++i) {
    const int64_t sum =
        int64_t{emulated::Get<int16_t>(a, 2 * i)} * emulated::Get<int16_t>(b, 2 * i) +
        int64_t{emulated::Get<int16_t>(a, 2 * i + 1)} * emulated::Get<int16_t>(b, 2 * i + 1);
    emulated::Put(&r, i, static_cast<uint32_t>(sum));
  }
  return r;
}
// sum += four products of unsigned bytes of a and signed bytes of b, exact, without saturation.
inline __m512i _mm512_dpbusd_epi32(__m512i sum, __m512i a, __m512i b) {
  for (int i = 0; i < 16; ++i) {
    int dot = 0;
    for (int j = 4 * i; j < 4 * i + 4; ++j)
      dot += int{a.byte[j]} * int{static_cast<int8_t>(b.byte[j])};
    emulated::Put(&sum, i, emulated::Get<uint32_t>(sum, i) + static_cast<uint32_t>(dot));
  }
  return sum;
}
// The low halves of 32-bit elements.
inline __m256i _mm512_cvtepi32_epi16(__m512i a) {
  __m256i r;
  for (int i = 0; i < 16; ++i) emulated::Put(&r, i, emulated::Get<uint16_t>(a, 2 * i));
  return r;
}
// The same with two products of signed 16-bit elements.
inline __m512i _mm512_dpwssd_epi32(__m512i sum, __m512i a, __m512i b) {
  return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}
