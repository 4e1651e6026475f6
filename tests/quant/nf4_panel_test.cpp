// NF4 in blocks of a file and in panels: nothing is lost between them.
#include "quant/nf4_panel.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "quant/packed.h"
#include "support/blocks.h"

namespace slm::quant {
namespace {

struct Tensor {
  int64_t rows, k;
  std::vector<float> values;
  std::vector<uint8_t> blocks;
  size_t row_bytes;

  Tensor(int64_t row_count, int64_t columns, std::mt19937& rng)
      : rows(row_count),
        k(columns),
        values(testing::RandomFloats(static_cast<size_t>(rows * k), rng, 0.02f)),
        blocks(static_cast<size_t>(rows * k / kNf4Block) * kBlockNf4Bytes),
        row_bytes(blocks.size() / static_cast<size_t>(rows)) {
    EncodeNf4Blocks(values.data(), blocks.data(), rows * k);
  }
};

TEST(Nf4Blocks, DecodeAsTheTensorDoes) {
  std::mt19937 rng(171);
  const Tensor tensor(33, 832, rng);
  const auto n = tensor.values.size();
  std::vector<uint8_t> codes(n / 2);
  std::vector<float> absmax(n / kNf4Block), expected(n), got(n);
  EncodeNf4(tensor.values, kNf4Block, codes.data(), absmax.data());
  const NestedAbsmax nested = EncodeAbsmax(absmax);
  DecodeAbsmax(nested.codes, nested.scales.data(), nested.offset, DynamicMap(), absmax);
  DecodeNf4(codes.data(), absmax.data(), kNf4Block, expected);
  DecodeNf4Blocks(tensor.blocks.data(), got.data(), static_cast<int64_t>(n));
  EXPECT_EQ(got, expected);
}

TEST(Nf4Panel, GivesBackTheBlocks) {
  std::mt19937 rng(172);
  for (const int64_t k : {64, 192, 576, 2048, 3584, 18944})
    for (const int rows : {16, 1, 7}) {
      // Rows of any place in a tensor.
      const Tensor tensor(40, k, rng);
      const int64_t first = k % 7;
      const uint8_t* from = tensor.blocks.data() + static_cast<size_t>(first) * tensor.row_bytes;
      std::vector<uint8_t> panel(PanelBytes(Type::kNF4, k), 0xee);
      PackPanel(Type::kNF4, from, tensor.row_bytes, rows, k, panel.data());
      for (int row = 0; row < rows; ++row) {
        std::vector<uint8_t> got(tensor.row_bytes);
        UnpackRow(Type::kNF4, panel.data(), k, row, got.data());
        const uint8_t* expected = from + static_cast<size_t>(row) * tensor.row_bytes;
        ASSERT_TRUE(std::equal(got.begin(), got.end(), expected)) << "k=" << k << " row " << row;
      }
    }
}

TEST(Nf4Panel, TakesLittleMoreThanFourBits) {
  for (const int64_t k : {2048, 3072, 3584, 8192, 14336, 18944}) {
    const double bits =
        8.0 * static_cast<double>(PanelBytes(Type::kNF4, k)) / static_cast<double>(16 * k);
    EXPECT_LT(bits, 4.25) << k;
  }
}

TEST(Nf4Panel, RefusesBlocksThatShareNothing) {
  std::mt19937 rng(173);
  Tensor tensor(16, 2048, rng);
  tensor.blocks[5 * kBlockNf4Bytes] ^= 1;  // the scale of a block in the middle
  std::vector<uint8_t> panel(PanelBytes(Type::kNF4, 2048));
  EXPECT_THROW(
      PackPanel(Type::kNF4, tensor.blocks.data(), tensor.row_bytes, 16, 2048, panel.data()), Error);
}

}  // namespace
}  // namespace slm::quant
