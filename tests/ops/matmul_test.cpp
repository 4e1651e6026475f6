// Products of a backend: the same bits for any number of threads and any grouping of rows, near the
// decoded weights times the activations.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "ops/backend_case.h"
#include "support/floats.h"
#include "support/tables.h"

namespace slm::ops {
namespace {

using quant::Type;
using testing::Values;

constexpr int64_t kDepth = 768;
constexpr int64_t kGap = 5;  // between rows of an output

// Several products over one input; sizes that are no multiples of a panel.
struct Products {
  std::vector<Weight> weights;
  std::vector<float> bias;

  explicit Products(std::mt19937& rng) {
    weights.emplace_back(Type::kQ4_K, 70, kDepth, rng);
    weights.emplace_back(Type::kQ8_0, 1, kDepth, rng);
    weights.emplace_back(Type::kF16, 33, kDepth, rng);
    weights.emplace_back(Type::kQ6_K, 16, kDepth, rng);
    weights.emplace_back(Type::kQ5_0, 129, kDepth, rng);
    weights.emplace_back(Type::kF32, 15, kDepth, rng);
    bias = MakeFloats(Values::kNormal, 80, rng);  // for the first: 70 rounded up
    std::mt19937 others(66);
    weights.emplace_back(Type::kBF16, 50, kDepth, others);
  }
};

// out[p] is [rows][weights[p].rows], computed in calls of at most `at_once` rows.
std::vector<std::vector<float>> Multiply(BackendCase* c, const Products& products,
                                         const std::vector<float>& x, int64_t at_once,
                                         bool is_packed = true) {
  std::vector<Matrix> matrices;
  InputForms forms;
  for (const Weight& weight : products.weights) {
    matrices.push_back(is_packed ? c->backend->MakeMatrix(weight.plain)
                                 : c->backend->ViewMatrix(weight.plain));
    forms.Add(matrices.back());
  }
  const auto total = static_cast<int64_t>(x.size()) / kDepth;
  std::vector<std::vector<float>> result(matrices.size());
  for (int64_t first = 0; first < total; first += at_once) {
    const int64_t rows = std::min(at_once, total - first);
    InputBuffer buffer(rows, kDepth, forms);
    std::copy_n(x.begin() + first * kDepth, rows * kDepth, buffer.f32.begin());
    c->backend->Prepare(buffer.input);
    std::vector<std::vector<float>> out;
    std::vector<Product> list;
    for (const Matrix& matrix : matrices) {
      const int64_t stride = matrix.panels() * 16 + kGap;
      out.emplace_back(static_cast<size_t>(rows * stride), -7.0f);
      list.push_back(
          {&matrix, list.empty() ? products.bias.data() : nullptr, out.back().data(), stride});
    }
    c->backend->MatMul(buffer.input, list);
    for (size_t p = 0; p < list.size(); ++p)
      for (int64_t t = 0; t < rows; ++t) {
        const auto row = out[p].begin() + t * list[p].out_stride;
        result[p].insert(result[p].end(), row, row + matrices[p].rows());
        for (int64_t i = 0; i < kGap; ++i) EXPECT_EQ(row[matrices[p].panels() * 16 + i], -7.0f);
      }
  }
  return result;
}

class MatMul : public ::testing::TestWithParam<const kernels::KernelTable*> {};

TEST_P(MatMul, ThreadsAndGroupingOfRowsDoNotChangeABit) {
  std::mt19937 rng(61);
  const Products products(rng);
  const std::vector<float> x = MakeFloats(Values::kNormal, 13 * kDepth, rng);
  BackendCase alone(*GetParam(), 1);
  const auto expected = Multiply(&alone, products, x, 13);
  for (const int threads : {1, 2, 3, 5}) {
    BackendCase c(*GetParam(), threads);
    for (const int64_t at_once : {1, 2, 5, 13}) {
      const auto got = Multiply(&c, products, x, at_once);
      for (size_t p = 0; p < got.size(); ++p)
        ASSERT_TRUE(testing::SameBits(got[p], expected[p]))
            << threads << " threads, " << at_once << " rows at once, product " << p;
    }
  }
}

TEST_P(MatMul, PanelsPackedOnUseGiveTheSameBits) {
  std::mt19937 rng(64);
  const Products products(rng);
  const std::vector<float> x = MakeFloats(Values::kNormal, 13 * kDepth, rng);
  BackendCase c(*GetParam(), 3);
  const auto expected = Multiply(&c, products, x, 13);
  for (const int64_t at_once : {1, 13}) {
    const auto got = Multiply(&c, products, x, at_once, false);
    for (size_t p = 0; p < got.size(); ++p)
      ASSERT_TRUE(testing::SameBits(got[p], expected[p])) << at_once << " at once, product " << p;
  }
}

std::vector<quant::TypeTraits> EveryType() {
  std::vector<quant::TypeTraits> types(quant::AllTypes().begin(), quant::AllTypes().end());
  types.push_back(quant::Traits(Type::kNF4));
  return types;
}

TEST_P(MatMul, RowsAreDecodedFromEveryLayout) {
  std::mt19937 rng(65);
  BackendCase c(*GetParam(), 2);
  for (const quant::TypeTraits& type : EveryType()) {
    const Weight weight(type.type, 19, 512, rng);
    const Matrix view = c.backend->ViewMatrix(weight.plain);
    EXPECT_FALSE(view.is_packed());
    const AlignedBuffer panels(view.packed_bytes());
    view.PackPanels(0, view.panels(), panels.data());
    Matrix given = c.backend->ViewMatrix(weight.plain);
    if (given.wants_panels()) given.UsePanels(panels.data());
    const Matrix own = c.backend->MakeMatrix(weight.plain);
    EXPECT_EQ(own.is_packed(), own.wants_panels());
    for (const Matrix* matrix : {&view, static_cast<const Matrix*>(&given), &own})
      for (int64_t r = 0; r < 19; ++r) {
        std::vector<float> row(512);
        matrix->DecodeRow(r, row.data());
        const auto expected = weight.decoded.begin() + r * 512;
        ASSERT_TRUE(testing::SameBits(row, {expected, expected + 512})) << type.name << ", " << r;
      }
  }
}

TEST_P(MatMul, IsNearTheDecodedWeights) {
  std::mt19937 rng(62);
  const Products products(rng);
  const std::vector<float> x = MakeFloats(Values::kNormal, 3 * kDepth, rng);
  BackendCase c(*GetParam(), 2);
  const auto got = Multiply(&c, products, x, 3);
  for (size_t p = 0; p < got.size(); ++p) {
    const Weight& weight = products.weights[p];
    double error = 0, power = 0;
    for (int64_t t = 0; t < 3; ++t)
      for (int64_t r = 0; r < weight.plain.rows; ++r) {
        double sum = p == 0 ? static_cast<double>(products.bias[static_cast<size_t>(r)]) : 0;
        for (int64_t i = 0; i < kDepth; ++i)
          sum += static_cast<double>(weight.decoded[static_cast<size_t>(r * kDepth + i)]) *
                 static_cast<double>(x[static_cast<size_t>(t * kDepth + i)]);
        const auto value =
            static_cast<double>(got[p][static_cast<size_t>(t * weight.plain.rows + r)]);
        error += (value - sum) * (value - sum);
        power += sum * sum;
      }
    // Activations of 8 bits cost 1e-4 of the power, those of bfloat16 3e-6; other float weights see
    // them as they are.
    const Type type = weight.plain.type;
    const bool is_exact = type == Type::kF32 || type == Type::kF16 || GetParam()->isa == "ref";
    EXPECT_LT(error / power, is_exact ? 1e-11 : type == Type::kBF16 ? 1e-5 : 3e-4) << p;
  }
}

// Whole groups and a rest, weights packed and as they lie in a file.
TEST_P(MatMul, InWordsIsNearTheDecodedWeights) {
  std::mt19937 rng(67);
  BackendCase c(*GetParam(), 2);
  for (const Type type : {Type::kQ4_0, Type::kQ8_0, Type::kNF4, Type::kBF16})
    for (const int64_t k : {64, 320, 576}) {
      const int64_t tokens = 7, stride = 80 + kGap;
      const Weight weight(type, 70, k, rng);
      InputForms forms;
      forms.words = true;
      InputBuffer buffer(tokens, k, forms);
      buffer.input.precision = Precision::kWords;
      const std::vector<float> x =
          MakeFloats(Values::kNormal, static_cast<size_t>(tokens * k), rng);
      std::copy(x.begin(), x.end(), buffer.f32.begin());
      c.backend->Prepare(buffer.input);
      std::vector<float> out[2];
      for (const bool is_packed : {false, true}) {
        const Matrix matrix =
            is_packed ? c.backend->MakeMatrix(weight.plain) : c.backend->ViewMatrix(weight.plain);
        out[is_packed].resize(static_cast<size_t>(tokens * stride));
        const Product product = {&matrix, nullptr, out[is_packed].data(), stride};
        c.backend->MatMul(buffer.input, {&product, 1});
      }
      ASSERT_TRUE(testing::SameBits(out[0], out[1])) << quant::Traits(type).name << ", " << k;
      double error = 0, power = 0;
      for (int64_t t = 0; t < tokens; ++t)
        for (int64_t r = 0; r < 70; ++r) {
          double sum = 0;
          for (int64_t i = 0; i < k; ++i)
            sum += static_cast<double>(weight.decoded[static_cast<size_t>(r * k + i)]) *
                   static_cast<double>(x[static_cast<size_t>(t * k + i)]);
          error +=
              std::pow(static_cast<double>(out[0][static_cast<size_t>(t * stride + r)]) - sum, 2);
          power += sum * sum;
        }
      const double distance = std::sqrt(error / power);
      EXPECT_LT(distance, 1.5e-3) << quant::Traits(type).name << ", " << k;
      // The float reference does not round.
      EXPECT_GT(distance, GetParam()->isa == "ref" ? 0 : 1e-5) << quant::Traits(type).name;
    }
}

TEST_P(MatMul, EveryTypeOfWeight) {
  std::mt19937 rng(63);
  BackendCase c(*GetParam(), 2);
  for (const quant::TypeTraits& type : EveryType()) {
    const Weight weight(type.type, 19, 512, rng);
    const Matrix matrix = c.backend->MakeMatrix(weight.plain);
    EXPECT_EQ(matrix.rows(), 19);
    EXPECT_EQ(matrix.k(), 512);
    InputForms forms;
    forms.Add(matrix);
    InputBuffer buffer(1, 512, forms);
    const std::vector<float> x = MakeFloats(Values::kNormal, 512, rng);
    std::copy(x.begin(), x.end(), buffer.f32.begin());
    c.backend->Prepare(buffer.input);
    std::vector<float> out(32);
    const Product product = {&matrix, nullptr, out.data(), 32};
    c.backend->MatMul(buffer.input, {&product, 1});
    for (size_t r = 0; r < 19; ++r) {
      double sum = 0, power = 0;
      for (size_t i = 0; i < 512; ++i) {
        const double term =
            static_cast<double>(weight.decoded[r * 512 + i]) * static_cast<double>(x[i]);
        sum += term, power += term * term;
      }
      // Each product is off by up to 1 / 127 of the largest; they add up as a random walk.
      EXPECT_NEAR(static_cast<double>(out[r]), sum, 0.05 * std::sqrt(power)) << type.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, MatMul,
                         ::testing::ValuesIn(testing::TablesUnderTest().begin(),
                                             testing::TablesUnderTest().end()),
                         [](const auto& test) { return std::string(test.param->isa); });

}  // namespace
}  // namespace slm::ops
