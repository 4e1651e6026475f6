// What the emulation is trusted for: cases that tell each instruction from its neighbours, the
// expected values worked out from Intel's description of it.
#include "support/avx512_emulation.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "base/half.h"

namespace slm {
namespace {

using emulated::Get;

TEST(Emulation, DotProductsDoNotSaturate) {
  const __m512i one = _mm512_set1_epi32(1);
  // vpmaddubsw would stop at 32767 here.
  __m512i r = _mm512_dpbusd_epi32(one, _mm512_set1_epi8(-1), _mm512_set1_epi8(127));
  EXPECT_EQ(Get<int32_t>(r, 15), 1 + 4 * 255 * 127);
  r = _mm512_dpbusd_epi32(one, _mm512_set1_epi8(127), _mm512_set1_epi8(-1));
  EXPECT_EQ(Get<int32_t>(r, 0), 1 - 4 * 127);
  r = _mm512_dpbusd_epi32(_mm512_set1_epi32(std::numeric_limits<int32_t>::max()),
                          _mm512_set1_epi8(1), _mm512_set1_epi8(1));
  EXPECT_EQ(Get<int32_t>(r, 7), std::numeric_limits<int32_t>::min() + 3);
  r = _mm512_dpwssd_epi32(one, _mm512_set1_epi16(-32768), _mm512_set1_epi16(32767));
  EXPECT_EQ(Get<int32_t>(r, 3), 1 - 2 * 32768 * 32767);
}

TEST(Emulation, ProductsOf16And32Bits) {
  __m512i a = _mm512_set1_epi16(3);
  emulated::Put(&a, 31, int16_t{-1000});
  const __m512i r = _mm512_madd_epi16(a, _mm512_set1_epi16(300));
  EXPECT_EQ(Get<int32_t>(r, 0), 1800);
  EXPECT_EQ(Get<int32_t>(r, 15), 900 - 300000);
  const __m512i wrapped = _mm512_madd_epi16(_mm512_set1_epi16(-32768), _mm512_set1_epi16(-32768));
  EXPECT_EQ(Get<int32_t>(wrapped, 0), std::numeric_limits<int32_t>::min());
  const __m512i low = _mm512_mullo_epi32(_mm512_set1_epi32(-70000), _mm512_set1_epi32(70000));
  EXPECT_EQ(Get<uint32_t>(low, 9), static_cast<uint32_t>(-4900000000LL));
  EXPECT_EQ(Get<int16_t>(_mm512_add_epi16(_mm512_set1_epi16(32767), _mm512_set1_epi16(1)), 5),
            -32768);
}

TEST(Emulation, ShiftsStayInsideTheirElements) {
  const __m512i x = _mm512_set1_epi16(static_cast<int16_t>(0x8421));
  EXPECT_EQ(Get<uint16_t>(_mm512_srli_epi16(x, 4), 1), 0x0842);
  EXPECT_EQ(Get<uint16_t>(_mm512_slli_epi16(x, 4), 1), 0x4210);
  EXPECT_EQ(Get<uint16_t>(_mm512_srli_epi16(x, 16), 1), 0);
  EXPECT_EQ(Get<uint32_t>(_mm512_slli_epi32(x, 16), 0), 0x84210000u);
  EXPECT_EQ(Get<uint32_t>(_mm512_slli_epi32(x, 32), 0), 0u);
  EXPECT_EQ(Get<uint32_t>(_mm512_srli_epi32(x, 16), 0), 0x8421u);
  EXPECT_EQ(Get<uint32_t>(_mm512_srli_epi32(x, 32), 0), 0u);
  EXPECT_EQ(Get<int32_t>(_mm512_srai_epi32(_mm512_set1_epi32(-129), 7), 5), -2);
  EXPECT_EQ(Get<int32_t>(_mm512_srai_epi32(_mm512_set1_epi32(-129), 40), 5), -1);
}

TEST(Emulation, ShuffleStaysInsideSixteenBytes) {
  __m512i a, index;
  for (int i = 0; i < 64; ++i) {
    a.byte[i] = static_cast<uint8_t>(i);
    index.byte[i] = static_cast<uint8_t>(15 - i % 16 + 16 * (i % 8));  // bits 4..6 do not count
  }
  index.byte[33] = 0x80;
  const __m512i r = _mm512_shuffle_epi8(a, index);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(r.byte[i], i == 33 ? 0 : i / 16 * 16 + 15 - i % 16);
}

TEST(Emulation, IntegerConversions) {
  __m512i a = _mm512_set1_epi32(-129);
  emulated::Put(&a, 1, 128);
  emulated::Put(&a, 2, -128);
  const __m128i r = _mm512_cvtsepi32_epi8(a);
  EXPECT_EQ(Get<int8_t>(r, 0), -128);
  EXPECT_EQ(Get<int8_t>(r, 1), 127);
  EXPECT_EQ(Get<int8_t>(r, 2), -128);
  EXPECT_EQ(Get<int32_t>(_mm512_cvtepi8_epi32(r), 15), -128);
  const __m256i words = emulated::Fill<__m256i>(uint16_t{0xfffe});
  EXPECT_EQ(Get<int32_t>(_mm512_cvtepu16_epi32(words), 15), 0xfffe);
}

TEST(Emulation, RoundsToNearestEven) {
  const float in[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 0x1.fffffep-2f, 3e9f, -3e9f};
  const float rounded[] = {0, 2, 2, -0.0f, -2, 0, 3e9f, -3e9f};
  const int32_t lowest = std::numeric_limits<int32_t>::min();
  const int32_t whole[] = {0, 2, 2, 0, -2, 0, lowest, lowest};
  for (int i = 0; i < 8; ++i) {
    const __m512 x = _mm512_set1_ps(in[i]);
    EXPECT_EQ(Get<uint32_t>(_mm512_roundscale_ps(x, 8), 0), std::bit_cast<uint32_t>(rounded[i]));
    EXPECT_EQ(Get<int32_t>(_mm512_cvtps_epi32(x), 0), whole[i]);
  }
  const __m512 large = _mm512_cvtepi32_ps(_mm512_set1_epi32((1 << 24) + 1));
  EXPECT_EQ(Get<float>(large, 0), 0x1p24f);
}

TEST(Emulation, HalvesAgreeWithTheBitwiseConversion) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const auto half = static_cast<uint16_t>(h);
    EXPECT_EQ(std::bit_cast<uint32_t>(emulated::FromHalf(half)),
              std::bit_cast<uint32_t>(HalfToFloat(half)));
  }
  for (uint64_t bits = 0; bits < 0x100000000; bits += 1021) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    ASSERT_EQ(emulated::ToHalf(x), FloatToHalf(x)) << x;
  }
}

TEST(Emulation, FloatOperations) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const __m512 one = _mm512_set1_ps(1), zero = _mm512_setzero_ps();
  EXPECT_EQ(Get<float>(_mm512_max_ps(_mm512_set1_ps(nan), one), 0), 1);
  EXPECT_TRUE(std::isnan(Get<float>(_mm512_max_ps(one, _mm512_set1_ps(nan)), 0)));
  EXPECT_EQ(Get<uint32_t>(_mm512_max_ps(zero, _mm512_set1_ps(-0.0f)), 0), 0x80000000u);
  EXPECT_EQ(Get<float>(_mm512_min_ps(_mm512_set1_ps(nan), one), 0), 1);
  EXPECT_EQ(Get<uint32_t>(_mm512_abs_ps(_mm512_set1_ps(-0.0f)), 0), 0u);
  // 1 - (1 + e)(1 - e) is e^2, which only one rounding keeps.
  const __m512 a = _mm512_set1_ps(1 + 0x1p-20f), b = _mm512_set1_ps(1 - 0x1p-20f);
  EXPECT_EQ(Get<float>(_mm512_fnmadd_ps(a, b, one), 0), 0x1p-40f);
  EXPECT_EQ(Get<float>(_mm512_fmadd_ps(a, b, _mm512_set1_ps(-1)), 0), -0x1p-40f);
}

TEST(Emulation, MasksAndParts) {
  float x[16];
  for (int i = 0; i < 16; ++i) x[i] = static_cast<float>(i);
  const __m512 all = _mm512_loadu_ps(x);
  const __m512 some = _mm512_maskz_loadu_ps(0x0005, x);
  EXPECT_EQ(Get<float>(some, 1), 0);
  EXPECT_EQ(Get<float>(some, 2), 2);
  float out[16] = {};
  _mm512_mask_storeu_ps(out, 0x8002, all);
  EXPECT_EQ(out[1] + out[15], 16);
  EXPECT_EQ(out[0] + out[2] + out[14], 0);
  const __m512 blend = _mm512_mask_blend_ps(0x0004, all, _mm512_set1_ps(9));
  EXPECT_EQ(Get<float>(blend, 2), 9);
  EXPECT_EQ(Get<float>(blend, 3), 3);
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(all), 1));
  EXPECT_EQ(Get<float>(high, 0), 8);
  const __m128 top = _mm256_extractf128_ps(high, 1);
  EXPECT_EQ(Get<float>(top, 3), 15);
  EXPECT_EQ(Get<float>(_mm_movehl_ps(_mm256_castps256_ps128(high), top), 0), 14);
  EXPECT_EQ(Get<float>(_mm_movehl_ps(_mm256_castps256_ps128(high), top), 2), 10);
  EXPECT_EQ(Get<float>(_mm_movehdup_ps(top), 2), 15);
  EXPECT_EQ(Get<float>(_mm_movehdup_ps(top), 0), 13);
  EXPECT_EQ(Get<float>(_mm_add_ss(top, top), 0), 24);
  EXPECT_EQ(Get<float>(_mm_add_ss(top, top), 1), 13);
}

}  // namespace
}  // namespace slm
