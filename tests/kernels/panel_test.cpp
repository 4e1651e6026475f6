// Packed panels to floats and back, on every table.
#include <gtest/gtest.h>

#include <cmath>

#include "support/blocks.h"
#include "support/floats.h"
#include "support/tables.h"

namespace slm::kernels {
namespace {

using quant::kPanelRows;
using quant::Type;

class Panel : public ::testing::TestWithParam<Type> {};

TEST_P(Panel, DecodesToWhatTheRowsMean) {
  std::mt19937 rng(121);
  const quant::TypeTraits& traits = quant::Traits(GetParam());
  const int64_t block = traits.block_size, k = 3 * std::max<int64_t>(block, 32);
  const auto row_bytes = static_cast<size_t>(k / block) * traits.block_bytes;
  for (const int rows : {16, 5}) {
    const std::vector<uint8_t> bytes = testing::RandomRows(GetParam(), rows, k, rng);
    std::vector<float> decoded(static_cast<size_t>(rows * k));
    traits.decode(bytes.data(), decoded.data(), rows * k);
    std::vector<uint8_t> panel(quant::PanelBytes(GetParam(), k));
    quant::PackPanel(GetParam(), bytes.data(), row_bytes, rows, k, panel.data());
    for (const KernelTable* table : testing::TablesUnderTest())
      for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, k}, {k / 3, k / 3}}) {
        testing::Guarded out(static_cast<size_t>(count * kPanelRows));
        table->decode_panel(GetParam(), panel.data(), first, count, out.data());
        ASSERT_TRUE(out.IsIntact()) << table->isa;
        for (int64_t i = 0; i < count; ++i)
          for (int64_t r = 0; r < kPanelRows; ++r) {
            const float expected =
                r < rows ? decoded[static_cast<size_t>(r * k + first + i)] : 0.0f;
            ASSERT_EQ(out.values()[static_cast<size_t>(i * kPanelRows + r)], expected)
                << table->isa << " row " << r << " element " << first + i;
          }
      }
  }
}

constexpr Type kTypes[] = {Type::kF32,  Type::kF16,  Type::kBF16, Type::kQ8_0,   Type::kQ4_0,
                           Type::kQ4_1, Type::kQ5_0, Type::kQ5_1, Type::kIQ4_NL, Type::kQ2_K,
                           Type::kQ3_K, Type::kQ4_K, Type::kQ5_K, Type::kQ6_K,   Type::kIQ4_XS};

INSTANTIATE_TEST_SUITE_P(Types, Panel, ::testing::ValuesIn(kTypes),
                         [](const auto& test) { return quant::Traits(test.param).name; });

TEST(EncodePanel, RoundsToTheNearestOfItsScale) {
  std::mt19937 rng(122);
  const int64_t n = 96;
  std::vector<float> w =
      testing::MakeFloats(testing::Values::kNormal, static_cast<size_t>(n * kPanelRows), rng);
  for (int64_t i = 0; i < 32; ++i) w[static_cast<size_t>(i * kPanelRows + 3)] = 0;  // a zero block
  w[5] = 1e-7f;
  std::vector<uint8_t> expected(quant::PanelBytes(Type::kQ8_0, n));
  testing::Scalar().encode_panel(w.data(), n, expected.data());
  std::vector<float> decoded(w.size());
  testing::Scalar().decode_panel(Type::kQ8_0, expected.data(), 0, n, decoded.data());
  for (int64_t r = 0; r < kPanelRows; ++r)
    for (int64_t b = 0; b < n; b += 32) {
      float largest = 0;
      for (int64_t i = b; i < b + 32; ++i)
        largest = std::max(largest, std::fabs(w[static_cast<size_t>(i * kPanelRows + r)]));
      for (int64_t i = b; i < b + 32; ++i) {
        const auto at = static_cast<size_t>(i * kPanelRows + r);
        // Half a step, and the rounding of the scale.
        EXPECT_LE(std::fabs(decoded[at] - w[at]), largest / 127 * 0.501f + largest * 0x1p-11f);
      }
    }
  for (const KernelTable* table : testing::FastTables()) {
    std::vector<uint8_t> panel(expected.size());
    table->encode_panel(w.data(), n, panel.data());
    EXPECT_EQ(panel, expected) << table->isa;
  }
}

}  // namespace
}  // namespace slm::kernels
