// The operations on rows: embedding, norm, gate, addition, capping.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>

#include "ops/backend_case.h"
#include "support/floats.h"
#include "support/tables.h"

namespace slm::ops {
namespace {

using testing::Values;

class Rows : public ::testing::TestWithParam<const kernels::KernelTable*> {
 protected:
  const kernels::KernelTable& table() const { return *GetParam(); }
};

TEST_P(Rows, EmbedsEveryType) {
  std::mt19937 rng(91);
  BackendCase c(table(), 3);
  const std::vector<int32_t> ids = {0, 19, 7, 7, 3, 1, 18, 2, 11, 5, 4};
  for (const quant::TypeTraits& type : quant::AllTypes())
    for (const float scale : {1.0f, 22.5f}) {
      const Weight weight(type.type, 20, 512, rng);
      std::vector<float> out(ids.size() * 512, -7.0f);
      c.backend->Embed(weight.plain, ids, scale, out.data());
      for (size_t t = 0; t < ids.size(); ++t)
        for (size_t i = 0; i < 512; ++i)
          ASSERT_EQ(out[t * 512 + i], weight.decoded[static_cast<size_t>(ids[t]) * 512 + i] * scale)
              << type.name;
    }
}

// The forms of an input, by whichever operation filled it, are those of its floats.
void CheckForms(const kernels::KernelTable& table, const InputBuffer& buffer) {
  const int64_t k = buffer.input.k;
  for (int64_t t = 0; t < buffer.input.rows; ++t) {
    const float* row = &buffer.f32[static_cast<size_t>(t * k)];
    std::vector<kernels::Act32> act32(static_cast<size_t>(k / 32));
    std::vector<kernels::Act256> act256(static_cast<size_t>(k / 256));
    const size_t bytes32 = act32.size() * sizeof act32[0];
    const size_t bytes256 = act256.size() * sizeof act256[0];
    const auto at = static_cast<size_t>(t);
    if (buffer.input.forms.bf16) {
      std::vector<uint16_t> bf16(static_cast<size_t>(k));
      table.round_bf16(row, k, bf16.data());
      ASSERT_EQ(std::memcmp(bf16.data(), &buffer.bf16[at * 2 * bf16.size()], 2 * bf16.size()), 0);
    }
    if (buffer.input.forms.act32) {
      table.quantize_act32(row, k, act32.data());
      ASSERT_EQ(std::memcmp(act32.data(), &buffer.act32[at * bytes32], bytes32), 0);
    }
    if (buffer.input.forms.act256) {
      table.quantize_act256(row, k, act256.data());
      ASSERT_EQ(std::memcmp(act256.data(), &buffer.act256[at * bytes256], bytes256), 0);
    }
  }
}

TEST_P(Rows, NormAndGateFillAllForms) {
  std::mt19937 rng(92);
  const bool has_forms = table().isa != "ref";
  const int64_t rows = 19, k = 512, stride = 2 * k + 3;
  const std::vector<float> x = MakeFloats(Values::kNormal, static_cast<size_t>(rows * stride), rng);
  const std::vector<float> w = MakeFloats(Values::kNormal, static_cast<size_t>(k), rng);
  for (const int threads : {1, 3}) {
    BackendCase c(table(), threads);
    for (const bool has_act32 : {false, true})
      for (const bool has_act256 : {false, true}) {
        const InputForms forms = {.bf16 = has_act32 && has_forms,
                                  .act32 = has_act32 && has_forms,
                                  .act256 = has_act256 && has_forms};
        InputBuffer normed(rows, k, forms);
        c.backend->Norm(x.data(), w.data(), 1e-5f, normed.input);
        CheckForms(table(), normed);
        InputBuffer silu(rows, k, forms), gelu(rows, k, forms);
        c.backend->Gate(Activation::kSilu, x.data(), x.data() + k, stride, silu.input);
        c.backend->Gate(Activation::kGelu, x.data(), x.data() + k, stride, gelu.input);
        CheckForms(table(), silu);
        CheckForms(table(), gelu);
        for (int64_t t = 0; t < rows; ++t) {
          const float* gate = x.data() + t * stride;
          std::vector<float> expected(static_cast<size_t>(k));
          const auto row = [&](const InputBuffer& from) {
            return std::span(from.f32).subspan(static_cast<size_t>(t * k), static_cast<size_t>(k));
          };
          table().rms_norm(x.data() + t * k, w.data(), k, 1e-5f, expected.data());
          ASSERT_TRUE(testing::SameBits(row(normed), expected));
          table().silu_mul(gate, gate + k, k, expected.data());
          ASSERT_TRUE(testing::SameBits(row(silu), expected));
          table().gelu_mul(gate, gate + k, k, expected.data());
          ASSERT_TRUE(testing::SameBits(row(gelu), expected));
        }
      }
  }
}

TEST_P(Rows, AddsPlainOrNormed) {
  std::mt19937 rng(93);
  for (const int64_t n : {1, 40, 513})
    for (const int64_t rows : {1, 9, 30}) {
      BackendCase c(table(), 2);
      const int64_t stride = n + 5;
      const std::vector<float> x =
          MakeFloats(Values::kNormal, static_cast<size_t>(rows * stride), rng);
      const std::vector<float> w = MakeFloats(Values::kNormal, static_cast<size_t>(n), rng);
      const std::vector<float> before =
          MakeFloats(Values::kNormal, static_cast<size_t>(rows * n), rng);
      testing::Guarded plain(before), normed(before);
      c.backend->AddTo(x.data(), stride, nullptr, 0, rows, n, plain.data());
      c.backend->AddTo(x.data(), stride, w.data(), 1e-6f, rows, n, normed.data());
      EXPECT_TRUE(plain.IsIntact() && normed.IsIntact());
      for (int64_t t = 0; t < rows; ++t) {
        double squares = 0;
        const float* row = x.data() + t * stride;
        for (int64_t i = 0; i < n; ++i)
          squares += static_cast<double>(row[i]) * static_cast<double>(row[i]);
        const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-6);
        for (int64_t i = 0; i < n; ++i) {
          const auto at = static_cast<size_t>(t * n + i);
          ASSERT_EQ(plain.values()[at], before[at] + row[i]);
          const double term =
              static_cast<double>(row[i]) * factor * static_cast<double>(w[static_cast<size_t>(i)]);
          ASSERT_NEAR(static_cast<double>(normed.values()[at]),
                      static_cast<double>(before[at]) + term, 1e-5 * (1 + std::fabs(term)));
        }
      }
    }
}

TEST_P(Rows, Softcaps) {
  BackendCase c(table(), 2);
  std::vector<float> x = {-1e9f, -30.0f, 0.0f, 1.0f, 60.0f, 1e9f};
  const std::vector<float> before = x;
  c.backend->Softcap(30.0f, static_cast<int64_t>(x.size()), x.data());
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(x[i], 30 * std::tanh(static_cast<double>(before[i]) / 30), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Tables, Rows,
                         ::testing::ValuesIn(testing::TablesUnderTest().begin(),
                                             testing::TablesUnderTest().end()),
                         [](const auto& test) { return std::string(test.param->isa); });

}  // namespace
}  // namespace slm::ops
