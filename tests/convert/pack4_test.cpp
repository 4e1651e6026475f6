#include "convert/pack4.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/half.h"
#include "support/blocks.h"

namespace slm::convert {
namespace {

// As compressed-tensors unpacks: words of eight codes, the first lowest.
std::vector<float> Unpack(const std::vector<uint8_t>& codes, const std::vector<uint16_t>& scales,
                          int64_t group_size) {
  std::vector<float> out;
  for (size_t i = 0; i < codes.size() * 2; ++i) {
    uint32_t word;
    std::memcpy(&word, codes.data() + i / 8 * 4, sizeof word);
    const int code = static_cast<int>(word >> (i % 8 * 4) & 15) - 8;
    out.push_back(HalfToFloat(scales[i / static_cast<size_t>(group_size)]) *
                  static_cast<float>(code));
  }
  return out;
}

TEST(Pack4, Q4_0IsCarriedOverExactly) {
  constexpr int64_t kRow = 160;
  std::mt19937 rng(3);
  const auto row = testing::RandomRows(quant::Type::kQ4_0, 1, kRow, rng);
  std::vector<float> expected(kRow);
  quant::Traits(quant::Type::kQ4_0).decode(row.data(), expected.data(), kRow);
  std::vector<uint8_t> codes(kRow / 2);
  std::vector<uint16_t> scales(kRow / 32);
  PackQ4_0(row.data(), kRow, codes.data(), scales.data());
  EXPECT_EQ(Unpack(codes, scales, 32), expected);
}

// By compressed-tensors 0.20.0: pack_to_int32(torch.arange(-8, 8, dtype=torch.int8)[None], 4).
TEST(Pack4, SameWordsAsTheReference) {
  std::vector<float> row;
  for (int i = -8; i < 8; ++i) row.push_back(static_cast<float>(i));
  uint32_t words[2];
  uint16_t scale;
  ASSERT_TRUE(PackFloats(row.data(), 16, 16, reinterpret_cast<uint8_t*>(words), &scale));
  EXPECT_EQ(words[0], 0x76543210u);
  EXPECT_EQ(words[1], 0xfedcba98u);
  EXPECT_EQ(HalfToFloat(scale), 1.0f);
}

TEST(Pack4, RoundsAsQ4_0) {
  constexpr int64_t kRow = 320;
  std::mt19937 rng(4);
  std::vector<float> row = testing::RandomFloats(kRow, rng);
  std::fill(row.begin() + 64, row.begin() + 96, 0.0f);
  std::vector<uint8_t> blocks(kRow / 32 * 18), codes(kRow / 2), expected(kRow / 2);
  std::vector<uint16_t> scales(kRow / 32), expected_scales(kRow / 32);
  quant::Traits(quant::Type::kQ4_0).encode(row.data(), blocks.data(), kRow);
  PackQ4_0(blocks.data(), kRow, expected.data(), expected_scales.data());
  ASSERT_TRUE(PackFloats(row.data(), kRow, 32, codes.data(), scales.data()));
  EXPECT_EQ(codes, expected);
  EXPECT_EQ(Unpack(codes, scales, 32), Unpack(expected, expected_scales, 32));
}

TEST(Pack4, LargerGroups) {
  constexpr int64_t kRow = 256;
  std::mt19937 rng(5);
  const std::vector<float> row = testing::RandomFloats(kRow, rng);
  std::vector<uint8_t> codes(kRow / 2);
  std::vector<uint16_t> scales(kRow / 128);
  ASSERT_TRUE(PackFloats(row.data(), kRow, 128, codes.data(), scales.data()));
  const std::vector<float> back = Unpack(codes, scales, 128);
  for (size_t i = 0; i < row.size(); ++i) {
    // Half a step, but a whole one at the end of the range that has one code less.
    EXPECT_LE(std::abs(back[i] - row[i]), std::abs(HalfToFloat(scales[i / 128])) * 1.001f);
  }
}

TEST(Pack4, RefusesWhatAScaleCannotHold) {
  std::vector<uint8_t> codes(16);
  uint16_t scale;
  for (const float bad : {1e7f, -1e7f, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> row(32, 1.0f);
    row[7] = bad;
    EXPECT_FALSE(PackFloats(row.data(), 32, 32, codes.data(), &scale)) << bad;
  }
}

}  // namespace
}  // namespace slm::convert
