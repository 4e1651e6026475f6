// Packed panels: what was packed comes back, the integers mean what the decoder says, and the bytes
// lie where the header says.
#include "quant/packed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "base/half.h"
#include "support/blocks.h"

namespace slm::quant {
namespace {

size_t RowBytes(Type type, int64_t k) {
  return static_cast<size_t>(k / Traits(type).block_size) * Traits(type).block_bytes;
}

// Bytes around the panel that PackPanel may not touch.
constexpr size_t kGuard = 64;
constexpr uint8_t kUntouched = 0xa7;

std::vector<uint8_t> Pack(Type type, const std::vector<uint8_t>& rows, size_t row_bytes, int count,
                          int64_t k) {
  const size_t bytes = PanelBytes(type, k);
  std::vector<uint8_t> panel(bytes + kGuard, kUntouched);
  PackPanel(type, rows.data(), row_bytes, count, k, panel.data());
  EXPECT_EQ(std::count(panel.begin() + static_cast<std::ptrdiff_t>(bytes), panel.end(), kUntouched),
            static_cast<std::ptrdiff_t>(kGuard));
  panel.resize(bytes);
  return panel;
}

// The parts of IntegerBlock that the type has.
bool Equal(const Grid& grid, const IntegerBlock& a, const IntegerBlock& b) {
  const auto subs = static_cast<size_t>(grid.sub_blocks());
  return std::memcmp(a.code, b.code, static_cast<size_t>(grid.block)) == 0 &&
         std::memcmp(a.scale, b.scale, subs) == 0 && a.d == b.d &&
         (!grid.has_min || (std::memcmp(a.min, b.min, subs) == 0 && a.m == b.m));
}

class Packed : public ::testing::TestWithParam<Type> {
 protected:
  Type type() const { return GetParam(); }
  Grid grid() const { return GridOf(GetParam()); }
};

TEST_P(Packed, IntegersGoBackIntoTheirBlock) {
  std::mt19937 rng(50);
  std::vector<uint8_t> block(Traits(type()).block_bytes), again(block.size());
  for (int round = 0; round < 1000; ++round) {
    for (uint8_t& byte : block) byte = static_cast<uint8_t>(rng());
    IntegerBlock x;
    ToIntegers(type(), block.data(), &x);
    FromIntegers(type(), x, again.data());
    ASSERT_EQ(block, again);
  }
}

TEST_P(Packed, ComesBackForAnyBytesAndAnyNumberOfRows) {
  std::mt19937 rng(51);
  for (int rows = 1; rows <= kPanelRows; ++rows)
    for (const int64_t blocks : {1, 2, 5}) {
      const int64_t k = blocks * grid().block;
      const size_t gap = rows % 2 ? 6 : 0;  // rows need not touch
      const size_t row_bytes = RowBytes(type(), k) + gap;
      std::vector<uint8_t> plain(row_bytes * static_cast<size_t>(rows));
      for (uint8_t& byte : plain) byte = static_cast<uint8_t>(rng());
      const std::vector<uint8_t> panel = Pack(type(), plain, row_bytes, rows, k);
      for (int r = 0; r < kPanelRows; ++r)
        for (int64_t b = 0; b < blocks; ++b) {
          IntegerBlock expected = {}, got = {};
          if (r < rows)
            ToIntegers(type(),
                       &plain[static_cast<size_t>(r) * row_bytes +
                              static_cast<size_t>(b) * Traits(type()).block_bytes],
                       &expected);
          UnpackBlock(type(), panel.data(), b, r, &got);
          ASSERT_TRUE(Equal(grid(), got, expected)) << "row " << r << " of " << rows << ", k=" << k;
        }
    }
}

// d * scale * value - dmin * min (256) or d * value + m (32), as the decoder has it; it rounds each
// step to float, so the difference is measured against the terms and not their sum.
TEST_P(Packed, IntegersTimesScalesAreTheDecodedValues) {
  std::mt19937 rng(52);
  const int64_t k = 40 * grid().block;
  const std::vector<uint8_t> plain = testing::RandomRows(type(), 1, k, rng);
  std::vector<float> decoded(static_cast<size_t>(k));
  Traits(type()).decode(plain.data(), decoded.data(), k);
  for (int64_t b = 0; b < k / grid().block; ++b) {
    IntegerBlock x;
    ToIntegers(type(), &plain[static_cast<size_t>(b) * Traits(type()).block_bytes], &x);
    const auto d = static_cast<double>(HalfToFloat(x.d));
    const double m = grid().has_min ? static_cast<double>(HalfToFloat(x.m)) : 0;
    for (int i = 0; i < grid().block; ++i) {
      const int sub = grid().has_scales() ? i / grid().sub_block : 0;
      const int value = ValueOf(grid(), x.code[i]);
      const double product = d * value * (grid().has_scales() ? x.scale[sub] : 1);
      const double shift = !grid().has_min ? 0 : grid().has_scales() ? -m * x.min[sub] : m;
      const auto expected = static_cast<double>(decoded[static_cast<size_t>(b * grid().block + i)]);
      ASSERT_NEAR(product + shift, expected, 1e-6 * (std::fabs(product) + std::fabs(shift)))
          << "block " << b << " element " << i;
    }
  }
}

// Byte 4 r + i of group g of a unit belongs to row r, element 4 g + i; its bits are where the
// header says.
TEST_P(Packed, BitsLieWhereTheHeaderSays) {
  const Grid g = grid();
  const size_t src_bytes = Traits(type()).block_bytes;
  std::mt19937 rng(53);
  std::vector<uint8_t> plain(src_bytes * kPanelRows);
  for (uint8_t& byte : plain) byte = static_cast<uint8_t>(rng());
  const std::vector<uint8_t> panel = Pack(type(), plain, src_bytes, kPanelRows, g.block);
  for (size_t r = 0; r < kPanelRows; ++r) {
    IntegerBlock x;
    ToIntegers(type(), &plain[r * src_bytes], &x);
    for (size_t i = 0; i < static_cast<size_t>(g.block); ++i) {
      const uint8_t* unit = &panel[i / 32 * g.unit_bytes()];
      const size_t group = i % 32 / 4, byte = 4 * r + i % 4;
      const auto bits = [&](size_t plane, size_t shift, int count) {
        return unit[64 * plane + byte] >> shift & ((1 << count) - 1);
      };
      const int nibble = bits(group % 4, 4 * (group / 4), 4),
                two = bits(group / 4, group % 4 * 2, 2);
      int code = 0;
      switch (g.bits) {
        case 8:
          code = bits(group, 0, 8);
          break;
        case 6:
          code = nibble | bits(4 + group / 4, group % 4 * 2, 2) << 4;
          break;
        case 5:
          code = nibble | bits(4, group, 1) << 4;
          break;
        case 4:
          code = nibble;
          break;
        case 3:
          code = two | bits(2, group, 1) << 2;
          break;
        case 2:
          code = two;
          break;
      }
      ASSERT_EQ(code, x.code[i]) << "row " << r << " element " << i;
    }
    for (size_t s = 0; s < static_cast<size_t>(g.sub_blocks()); ++s) {
      ASSERT_EQ(static_cast<int8_t>(panel[g.scales() + 16 * s + r]), x.scale[s]);
      if (g.has_min) {
        ASSERT_EQ(panel[g.mins() + 16 * s + r], x.min[s]);
      }
    }
  }
}

TEST_P(Packed, BytesOfAPanel) {
  const Grid g = grid();
  for (const int64_t blocks : {0, 1, 3, 1000}) {
    // Codes, scales and mins of 16 rows, and a half or two.
    const int64_t bits =
        16 * (g.block * g.bits + 8 * g.sub_blocks() * (1 + g.has_min) + 16 * (1 + g.has_min));
    EXPECT_EQ(PanelBytes(type(), blocks * g.block), static_cast<size_t>(blocks * bits / 8));
  }
}

TEST(PackedRows, ComeBackAsTheyWereInTheFile) {
  std::mt19937 rng(55);
  for (const TypeTraits& traits : AllTypes())
    for (const int rows : {1, 15, kPanelRows}) {
      const int64_t k = 3 * traits.block_size;
      const size_t row_bytes = RowBytes(traits.type, k);
      std::vector<uint8_t> plain(row_bytes * static_cast<size_t>(rows)), row(row_bytes);
      for (uint8_t& byte : plain) byte = static_cast<uint8_t>(rng());
      const std::vector<uint8_t> panel = Pack(traits.type, plain, row_bytes, rows, k);
      for (int r = 0; r < rows; ++r) {
        UnpackRow(traits.type, panel.data(), k, r, row.data());
        ASSERT_EQ(std::memcmp(row.data(), &plain[static_cast<size_t>(r) * row_bytes], row_bytes), 0)
            << traits.name << " row " << r;
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, Packed,
                         ::testing::Values(Type::kQ8_0, Type::kQ4_0, Type::kQ4_1, Type::kQ5_0,
                                           Type::kQ5_1, Type::kIQ4_NL, Type::kQ2_K, Type::kQ3_K,
                                           Type::kQ4_K, Type::kQ5_K, Type::kQ6_K, Type::kIQ4_XS),
                         [](const auto& test) { return std::string(Traits(test.param).name); });

TEST(Packed, EveryQuantizedTypeIsTested) {
  int count = 0;
  for (const TypeTraits& traits : AllTypes()) {
    const Grid grid = GridOf(traits.type);
    count += grid.bits != 0;
    if (grid.bits) {
      EXPECT_EQ(grid.block, traits.block_size) << traits.name;
    }
  }
  EXPECT_EQ(count, 12);
}

TEST(PackedFloat, ElementsOfSixteenRowsAreInterleaved) {
  std::mt19937 rng(54);
  for (const Type type : {Type::kF32, Type::kF16, Type::kBF16})
    for (int rows = 1; rows <= kPanelRows; ++rows)
      for (const int64_t k : {1, 7, 64}) {
        const size_t element = Traits(type).block_bytes, row_bytes = RowBytes(type, k) + element;
        std::vector<uint8_t> plain(row_bytes * static_cast<size_t>(rows));
        for (uint8_t& byte : plain) byte = static_cast<uint8_t>(rng());
        const std::vector<uint8_t> panel = Pack(type, plain, row_bytes, rows, k);
        // Of BF16 pairs are interleaved, and the last one's second is zero when it has none.
        const size_t together = type == Type::kBF16 ? 2 : 1;
        const size_t padded = (static_cast<size_t>(k) + together - 1) / together * together;
        ASSERT_EQ(panel.size(), element * kPanelRows * padded);
        const std::vector<uint8_t> zero(element);
        for (size_t r = 0; r < kPanelRows; ++r)
          for (size_t i = 0; i < padded; ++i) {
            const bool is_there = r < static_cast<size_t>(rows) && i < static_cast<size_t>(k);
            const uint8_t* expected = is_there ? &plain[r * row_bytes + i * element] : zero.data();
            const size_t at = (i / together * kPanelRows + r) * together + i % together;
            ASSERT_EQ(std::memcmp(&panel[at * element], expected, element), 0);
          }
      }
}

}  // namespace
}  // namespace slm::quant
