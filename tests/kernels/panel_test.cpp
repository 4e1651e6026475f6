// Packed panels to floats and back, on every table.
#include <gtest/gtest.h>

#include <algorithm>
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

constexpr Type kTypes[] = {Type::kF32,    Type::kF16,  Type::kBF16,   Type::kQ8_0,
                           Type::kQ4_0,   Type::kQ4_1, Type::kQ5_0,   Type::kQ5_1,
                           Type::kIQ4_NL, Type::kQ2_K, Type::kQ3_K,   Type::kQ4_K,
                           Type::kQ5_K,   Type::kQ6_K, Type::kIQ4_XS, Type::kNF4};

INSTANTIATE_TEST_SUITE_P(Types, Panel, ::testing::ValuesIn(kTypes),
                         [](const auto& test) { return quant::Traits(test.param).name; });

struct Words {
  explicit Words(const KernelTable& kernels, int64_t block_count)
      : table(kernels),
        k(kWordBlock * block_count),
        panel_bytes(static_cast<size_t>(block_count * kernels.words.block_bytes)) {}
  const KernelTable& table;
  int64_t k;
  size_t panel_bytes;

  // [cols][16 panels]; w is [panels][k][16], x is [cols][k].
  std::vector<float> Multiply(const std::vector<float>& w, const std::vector<float>& x,
                              const float* bias, const std::vector<float>* start) const {
    const auto cols = static_cast<int64_t>(x.size()) / k;
    const auto panels = static_cast<int64_t>(w.size()) / (k * kPanelRows);
    std::vector<uint8_t> encoded(panel_bytes * static_cast<size_t>(panels));
    for (int64_t p = 0; p < panels; ++p)
      table.words.encode(w.data() + p * k * kPanelRows, k,
                         encoded.data() + static_cast<size_t>(p) * panel_bytes);
    std::vector<ActWords> act(x.size() / kWordBlock);
    for (int64_t c = 0; c < cols; ++c)
      table.words.round(x.data() + c * k, k, act.data() + c * k / kWordBlock);
    std::vector<float> out =
        start ? *start : std::vector<float>(static_cast<size_t>(cols * panels * kPanelRows));
    MatMulArgs args = {};
    args.panel = encoded.data();
    args.panel_stride = panel_bytes;
    args.panels = static_cast<int>(panels);
    args.rows = kPanelRows;
    args.k = k;
    args.act = reinterpret_cast<const uint8_t*>(act.data());
    args.act_stride = ActRowBytes(ActFormat::kWords, k);
    args.cols = static_cast<int>(cols);
    args.bias = bias;
    args.adds = start != nullptr;
    args.out = out.data();
    args.out_stride = panels * kPanelRows;
    table.words.matmul(args);
    return out;
  }
};

// The sums of a group are as large as they can be.
TEST(WordProducts, OfLargestNumbersDoNotOverflow) {
  constexpr int64_t kBlocks = 2 * kWordGroup / kWordBlock + 1, kCols = 5;
  for (const float sign : {1.0f, -1.0f}) {
    const std::vector<float> w(kBlocks * kWordBlock * kPanelRows, 1.0f);
    const std::vector<float> x(kCols * kBlocks * kWordBlock, sign);
    for (const KernelTable* table : testing::TablesUnderTest())
      for (const float y : Words(*table, kBlocks).Multiply(w, x, nullptr, nullptr))
        ASSERT_NEAR(y, sign * kBlocks * kWordBlock, 1e-4) << table->isa;
  }
}

TEST(WordProducts, AreNearTheSumsAndTheSameOnEveryTable) {
  std::mt19937 rng(122);
  for (const testing::Values values : {testing::Values::kNormal, testing::Values::kFinite})
    for (const int64_t blocks : {1, 5, 16, 37})
      for (const int64_t cols : {1, 2, 3, 7, 13, 26}) {
        const int64_t k = kWordBlock * blocks, panels = 1 + blocks % 3;
        const auto size = [](int64_t n) { return static_cast<size_t>(n); };
        std::vector<float> w = MakeFloats(values, size(panels * k * kPanelRows), rng);
        std::vector<float> x = MakeFloats(values, size(cols * k), rng);
        if (values == testing::Values::kFinite)
          for (std::vector<float>* all : {&w, &x})
            for (float& f : *all) f = std::fabs(f) > 1e15f ? 1e15f : f;
        for (int64_t i = 0; i < std::min(k, kWordGroup); ++i) w[size(i * kPanelRows + 3)] = 0;
        const std::vector<float> bias =
            MakeFloats(testing::Values::kNormal, size(panels * kPanelRows), rng);
        const std::vector<float> start =
            MakeFloats(testing::Values::kNormal, size(cols * panels * kPanelRows), rng);
        const Words scalar(testing::Scalar(), blocks);
        const std::vector<float> plain = scalar.Multiply(w, x, bias.data(), nullptr);
        const std::vector<float> added = scalar.Multiply(w, x, nullptr, &start);
        for (const KernelTable* table : testing::FastTables()) {
          const Words words(*table, blocks);
          ASSERT_TRUE(testing::SameBits(words.Multiply(w, x, bias.data(), nullptr), plain))
              << table->isa << " k=" << k << " cols=" << cols;
          ASSERT_TRUE(testing::SameBits(words.Multiply(w, x, nullptr, &start), added))
              << table->isa << " k=" << k << " cols=" << cols;
        }
        if (values != testing::Values::kNormal) continue;
        double difference = 0, power = 0;
        for (int64_t c = 0; c < cols; ++c)
          for (int64_t r = 0; r < panels * kPanelRows; ++r) {
            double sum = 0;
            for (int64_t i = 0; i < k; ++i)
              sum += static_cast<double>(
                         w[size((r / kPanelRows * k + i) * kPanelRows + r % kPanelRows)]) *
                     static_cast<double>(x[size(c * k + i)]);
            const double got = static_cast<double>(plain[size(c * panels * kPanelRows + r)]) -
                               static_cast<double>(bias[size(r)]);
            difference += (got - sum) * (got - sum);
            power += sum * sum;
          }
        EXPECT_LE(std::sqrt(difference / power), 1.5e-3) << "k=" << k;
      }
}

}  // namespace
}  // namespace slm::kernels
