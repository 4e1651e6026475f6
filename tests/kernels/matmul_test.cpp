// Every product of every table: bit-equal to the specification, and near the float reference.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/half.h"
#include "kernels/table.h"
#include "support/activations.h"
#include "support/blocks.h"
#include "support/floats.h"
#include "support/tables.h"

namespace slm::kernels {
namespace {

using quant::Type;

struct Shape {
  int64_t k;
  int rows, cols;
};

struct Case {
  Type type;
  Shape shape;
  std::vector<uint8_t> plain;
  std::vector<float> x, bias;
};

Case MakeCase(Type type, Shape shape, std::mt19937& rng) {
  const int64_t block = quant::Traits(type).block_size;
  shape.k = (shape.k + block - 1) / block * block;
  Case c = {type, shape, testing::RandomRows(type, shape.rows, shape.k, rng), {}, {}};
  c.x = testing::RandomFloats(static_cast<size_t>(shape.cols * shape.k), rng);
  c.bias = testing::RandomFloats(16, rng);
  return c;
}

// What a product is added to: nothing, or the bias, given as such or in the output.
enum class Start { kZero, kBias, kOutput };

// [cols][16], computed by `table` from activations in its own format.
std::vector<float> Product(const KernelTable& table, const Case& c, Start start) {
  const MatMulKernel& kernel = table.matmul[static_cast<int>(c.type)];
  const int64_t k = c.shape.k;
  const quant::TypeTraits& traits = quant::Traits(c.type);
  const size_t row_bytes = static_cast<size_t>(k / traits.block_size) * traits.block_bytes;
  std::vector<uint8_t> buffer(quant::PanelBytes(c.type, k) + 64);
  uint8_t* panel = buffer.data() + (64 - reinterpret_cast<uintptr_t>(buffer.data()) % 64);
  if (kernel.is_packed) quant::PackPanel(c.type, c.plain.data(), row_bytes, c.shape.rows, k, panel);
  const size_t act_stride = ActRowBytes(kernel.format, k);
  std::vector<uint8_t> act(act_stride * static_cast<size_t>(c.shape.cols));
  for (int col = 0; col < c.shape.cols; ++col) {
    const float* x = c.x.data() + col * k;
    uint8_t* to = act.data() + static_cast<size_t>(col) * act_stride;
    testing::PutActivations(table, kernel.format, x, k, to);
  }
  const int64_t stride = 16 + 3;
  std::vector<float> out(static_cast<size_t>(c.shape.cols * stride), -1.0f);
  MatMulArgs args = {.type = c.type,
                     .panel = kernel.is_packed ? panel : c.plain.data(),
                     .rows = c.shape.rows,
                     .k = k,
                     .act = act.data(),
                     .act_stride = act_stride,
                     .cols = c.shape.cols,
                     .bias = start == Start::kBias ? c.bias.data() : nullptr,
                     .adds = start == Start::kOutput,
                     .out = out.data(),
                     .out_stride = stride};
  for (int col = 0; col < c.shape.cols && args.adds; ++col)
    std::copy_n(c.bias.begin(), 16, out.begin() + col * stride);
  kernel.run(args);
  for (int col = 0; col < c.shape.cols; ++col)
    for (int64_t i = 16; i < stride; ++i)
      EXPECT_EQ(out[static_cast<size_t>(col * stride + i)], -1.0f) << "wrote past the panel";
  std::vector<float> result;
  for (int col = 0; col < c.shape.cols; ++col)
    result.insert(result.end(), out.begin() + col * stride, out.begin() + col * stride + 16);
  return result;
}

std::vector<float> Product(const KernelTable& table, const Case& c, bool with_bias) {
  return Product(table, c, with_bias ? Start::kBias : Start::kZero);
}

class MatMul : public ::testing::TestWithParam<Type> {};

const Shape kShapes[] = {{32, 16, 1},    {256, 16, 1},   {96, 7, 3},    {320, 1, 2},
                         {576, 16, 5},   {67, 5, 9},     {800, 16, 8},  {1536, 9, 4},
                         {2048, 16, 13}, {4160, 16, 13}, {1091, 16, 13}};

TEST_P(MatMul, FastTablesMatchTheSpecificationBitForBit) {
  std::mt19937 rng(7);
  for (const Shape& shape : kShapes) {
    const Case c = MakeCase(GetParam(), shape, rng);
    for (bool with_bias : {false, true}) {
      const std::vector<float> expected = Product(testing::Scalar(), c, with_bias);
      for (const KernelTable* table : testing::FastTables()) {
        const std::vector<float> got = Product(*table, c, with_bias);
        ASSERT_EQ(std::memcmp(got.data(), expected.data(), 4 * got.size()), 0)
            << table->isa << " k=" << c.shape.k << " cols=" << shape.cols;
      }
    }
  }
}

// Panels that are given together come out as they do one by one, whatever tiles and groups of
// panels are left over.
TEST_P(MatMul, SeveralPanelsMatchEachByItself) {
  std::mt19937 rng(9);
  constexpr int64_t kK = 2304;  // several stretches
  for (const KernelTable* table : testing::TablesUnderTest()) {
    const MatMulKernel& kernel = table->matmul[static_cast<int>(GetParam())];
    if (!kernel.is_packed) continue;
    const quant::TypeTraits& traits = quant::Traits(GetParam());
    const size_t row_bytes = static_cast<size_t>(kK / traits.block_size) * traits.block_bytes;
    const size_t panel_stride = (quant::PanelBytes(GetParam(), kK) + 63) / 64 * 64;
    const int most = kernel.max_panels;
    const std::vector<uint8_t> rows = testing::RandomRows(GetParam(), 16 * most, kK, rng);
    const AlignedBuffer packed(panel_stride * static_cast<size_t>(most));
    for (int p = 0; p < most; ++p)
      quant::PackPanel(GetParam(), &rows[16 * static_cast<size_t>(p) * row_bytes], row_bytes, 16,
                       kK, packed.data() + static_cast<size_t>(p) * panel_stride);
    const std::vector<float> bias = testing::RandomFloats(16 * static_cast<size_t>(most), rng);
    for (const int cols : {1, 2, 3, 5, 6, 11}) {
      const size_t act_stride = ActRowBytes(kernel.format, kK);
      std::vector<uint8_t> act(act_stride * static_cast<size_t>(cols));
      for (int c = 0; c < cols; ++c) {
        const std::vector<float> x = testing::RandomFloats(kK, rng);
        uint8_t* to = &act[static_cast<size_t>(c) * act_stride];
        testing::PutActivations(*table, kernel.format, x.data(), kK, to);
      }
      const int64_t stride = 16 * most + 5;
      const auto run = [&](int first, int panels, float* out) {
        kernel.run({.type = GetParam(),
                    .panel = packed.data() + static_cast<size_t>(first) * panel_stride,
                    .rows = 16,
                    .k = kK,
                    .act = act.data(),
                    .act_stride = act_stride,
                    .cols = cols,
                    .bias = &bias[16 * static_cast<size_t>(first)],
                    .out = out + 16 * first,
                    .out_stride = stride,
                    .panels = panels,
                    .panel_stride = panel_stride});
      };
      for (int panels = 2; panels <= most; ++panels) {
        std::vector<float> together(static_cast<size_t>(cols * stride)), each = together;
        run(0, panels, together.data());
        for (int p = 0; p < panels; ++p) run(p, 1, each.data());
        ASSERT_TRUE(testing::SameBits(together, each))
            << table->isa << " cols=" << cols << " panels=" << panels;
      }
    }
  }
}

// What stands in the output is what a bias of the same values would be: of the types that take
// activations as they are.
TEST(MatMulFloats, AddsToWhatIsThere) {
  std::mt19937 rng(14);
  for (const Type type : {Type::kF32, Type::kF16})
    for (const Shape& shape : kShapes) {
      const Case c = MakeCase(type, shape, rng);
      for (const KernelTable* table : testing::TablesUnderTest()) {
        const std::vector<float> got = Product(*table, c, Start::kOutput);
        const std::vector<float> expected = Product(*table, c, Start::kBias);
        for (int col = 0; col < shape.cols; ++col)
          ASSERT_EQ(std::memcmp(&got[16 * static_cast<size_t>(col)],
                                &expected[16 * static_cast<size_t>(col)],
                                4 * static_cast<size_t>(shape.rows)),
                    0)
              << table->isa << " k=" << c.shape.k << " cols=" << shape.cols;
      }
    }
}

// All codes and activations at their extremes: sums in 16 and 32 bits must not overflow, neither
// where few columns share a panel nor where many do.
TEST_P(MatMul, ExtremesMatchTheSpecification) {
  std::mt19937 rng(8);
  for (int variant = 0; variant < 12; ++variant) {
    Case c = MakeCase(GetParam(), {1024, 16, variant < 6 ? 3 : 13}, rng);
    const quant::TypeTraits& traits = quant::Traits(c.type);
    if (traits.block_size > 1) {
      const uint8_t fill = variant % 3 == 0 ? 0x00 : variant % 3 == 1 ? 0xff : 0x80;
      const std::vector<uint8_t> blocks = c.plain;
      std::fill(c.plain.begin(), c.plain.end(), fill);
      // Keep the scales finite: those bytes come from the random blocks.
      for (size_t b = 0; b < c.plain.size(); b += traits.block_bytes)
        for (size_t at : {size_t{0}, size_t{2}, size_t{80}, size_t{82}, size_t{108}, size_t{208}})
          if (at + 2 <= traits.block_bytes) std::memcpy(&c.plain[b + at], &blocks[b + at], 2);
    }
    for (float& x : c.x) x = variant % 6 < 3 ? 1.0f : rng() % 2 ? 1.0f : -1.0f;
    const std::vector<float> expected = Product(testing::Scalar(), c, true);
    for (const KernelTable* table : testing::FastTables()) {
      const std::vector<float> got = Product(*table, c, true);
      ASSERT_EQ(std::memcmp(got.data(), expected.data(), 4 * got.size()), 0)
          << table->isa << " variant " << variant;
    }
  }
}

// Any bytes as weights, NaN and infinite scales among them, against any activations; every number
// of columns that tiles can leave over.
TEST_P(MatMul, AnyBytesMatchTheSpecification) {
  std::mt19937 rng(11);
  for (const auto values : testing::kAllValues)
    for (int cols = 1; cols <= 19; ++cols) {
      Case c = MakeCase(GetParam(), {512 + 32 * cols, 1 + cols % 16, cols}, rng);
      for (uint8_t& byte : c.plain) byte = static_cast<uint8_t>(rng());
      c.x = MakeFloats(values, c.x.size(), rng);
      const std::vector<float> expected = Product(testing::Scalar(), c, cols % 2);
      for (const KernelTable* table : testing::FastTables())
        ASSERT_TRUE(testing::SameBits(Product(*table, c, cols % 2), expected))
            << table->isa << " cols=" << cols << " " << testing::NameOf(values);
    }
}

// Subnormal weights, activations, sums and biases, and values that become so.
TEST_P(MatMul, SubnormalsMatchTheSpecification) {
  std::mt19937 rng(12);
  const auto tiny = [&](int most) {  // 2^-149.. to 2^(most - 127), either sign
    const auto exponent = static_cast<uint32_t>(rng() % static_cast<unsigned>(most + 1));
    return std::bit_cast<float>((static_cast<uint32_t>(rng()) & 0x807fffffu) | exponent << 23);
  };
  for (int cols = 1; cols <= 9; ++cols) {
    Case c = MakeCase(GetParam(), {512, 16, cols}, rng);
    // Weights up to 2^-63 and activations up to 2^-61: products lie around 2^-126.
    if (GetParam() == Type::kBF16)
      for (size_t i = 0; i < c.plain.size(); i += 2) {
        const uint16_t w = FloatToBfloat(tiny(64));
        std::memcpy(&c.plain[i], &w, 2);
      }
    for (float& x : c.x) x = tiny(cols % 2 ? 66 : 127);
    for (float& x : c.bias) x = tiny(2);
    const std::vector<float> expected = Product(testing::Scalar(), c, true);
    for (const KernelTable* table : testing::FastTables())
      ASSERT_TRUE(testing::SameBits(Product(*table, c, true), expected))
          << table->isa << " cols=" << cols;
  }
}

// 2^-126 - 0.75 * 2^-150 rounds to 2^-126 among subnormals, and below it where exponents have no
// end: there it is a subnormal.
TEST(MatMulBf16, ASumThatRoundsUpToTheLeastNormal) {
  std::mt19937 rng(13);
  Case c = MakeCase(Type::kBF16, {2, 16, 1}, rng);
  for (size_t i = 0; i < c.plain.size(); i += 2) {
    const uint16_t w = FloatToBfloat(i % 4 ? 0.0f : -0x1.8p-75f);
    std::memcpy(&c.plain[i], &w, 2);
  }
  c.x = {0x1p-76f, 0.0f};
  for (float& x : c.bias) x = 0x1p-126f;
  for (const KernelTable* table : testing::TablesUnderTest()) {
    if (table->isa == "ref") continue;
    for (const float x : Product(*table, c, true))
      EXPECT_TRUE(testing::SameBits(std::array{x}, std::array{0.0f})) << table->isa << " " << x;
  }
}

TEST_P(MatMul, OneColumnAndManyGiveTheSameBits) {
  std::mt19937 rng(9);
  const Case all = MakeCase(GetParam(), {800, 16, 11}, rng);
  for (const KernelTable* table : testing::TablesUnderTest()) {
    const std::vector<float> together = Product(*table, all, true);
    for (int col = 0; col < all.shape.cols; ++col) {
      Case one = all;
      one.shape.cols = 1;
      one.x.assign(all.x.begin() + col * all.shape.k, all.x.begin() + (col + 1) * all.shape.k);
      const std::vector<float> alone = Product(*table, one, true);
      ASSERT_EQ(std::memcmp(alone.data(), together.data() + 16 * col, 64), 0) << table->isa;
    }
  }
}

// The specification rounds activations to 8 bits, of a block's largest value or, for BF16, of each:
// errors are uncorrelated.
TEST_P(MatMul, SpecificationIsNearTheFloatReference) {
  std::mt19937 rng(10);
  const Case c = MakeCase(GetParam(), {2048, 16, 6}, rng);
  const std::vector<float> expected = Product(testing::Ref(), c, true);
  const std::vector<float> got = Product(testing::Scalar(), c, true);
  double error = 0, power = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += std::pow(static_cast<double>(got[i]) - static_cast<double>(expected[i]), 2);
    power += std::pow(static_cast<double>(expected[i]), 2);
  }
  const bool is_float = quant::Traits(GetParam()).block_size == 1;
  const double bound = GetParam() == Type::kBF16 ? 5e-6 : is_float ? 1e-12 : 3e-4;
  EXPECT_LT(error / power, bound);
}

INSTANTIATE_TEST_SUITE_P(Types, MatMul,
                         ::testing::Values(Type::kF32, Type::kF16, Type::kBF16, Type::kQ8_0,
                                           Type::kQ4_0, Type::kQ4_1, Type::kQ5_0, Type::kQ5_1,
                                           Type::kIQ4_NL, Type::kQ2_K, Type::kQ3_K, Type::kQ4_K,
                                           Type::kQ5_K, Type::kQ6_K, Type::kIQ4_XS),
                         [](const auto& test) {
                           return std::string(quant::Traits(test.param).name);
                         });

}  // namespace
}  // namespace slm::kernels
