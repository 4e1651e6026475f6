#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace slm {
namespace {

TEST(Half, EveryValueSurvivesTheRoundTrip) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const float f = HalfToFloat(static_cast<uint16_t>(h));
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(f))));
    } else {
      EXPECT_EQ(FloatToHalf(f), h);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  // Between two neighbours, the midpoint goes to the even one, and anything off it to the nearer.
  for (uint16_t h = 0; h < 0x7bff; ++h) {
    const float low = HalfToFloat(h), high = HalfToFloat(static_cast<uint16_t>(h + 1));
    const float middle = low + (high - low) / 2;
    EXPECT_EQ(FloatToHalf(middle), h + (h & 1));
    EXPECT_EQ(FloatToHalf(std::nextafter(middle, low)), h);
    EXPECT_EQ(FloatToHalf(std::nextafter(middle, high)), h + 1);
  }
  EXPECT_EQ(FloatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);
}

TEST(Bfloat, RoundsToNearestEvenAndKeepsNan) {
  EXPECT_EQ(FloatToBfloat(1.0f), 0x3f80);
  EXPECT_EQ(FloatToBfloat(std::bit_cast<float>(0x3f808000u)), 0x3f80);
  EXPECT_EQ(FloatToBfloat(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_TRUE(std::isnan(BfloatToFloat(FloatToBfloat(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace slm
