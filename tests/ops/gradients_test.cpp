// The operations of the backward pass, against sums and finite differences in double.
#include "ops/gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "ops/backend_case.h"
#include "support/floats.h"
#include "support/tables.h"

namespace slm::ops {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
using quant::Type;

Floats Random(int64_t n, std::mt19937& rng) {
  return testing::RandomFloats(static_cast<size_t>(n), rng);
}

// |a - b| / |b|
double Distance(const Floats& a, const Doubles& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / size);
}

class GradientOps : public ::testing::TestWithParam<const kernels::KernelTable*> {
 protected:
  const kernels::KernelTable& table() const { return *GetParam(); }
};

// Rows of results as wide as operations may write.
int64_t Wide(int64_t n) { return (n + 15) / 16 * 16 + 16; }

struct MatMulCase {
  Type type;
  int64_t k, rows[2];
};

TEST_P(GradientOps, ProductsWithTransposedWeights) {
  std::mt19937 rng(131);
  const MatMulCase cases[] = {{Type::kF32, 24, {40, 7}},
                              {Type::kF32, 16, {700, 1}},
                              {Type::kBF16, 96, {33, 20}},
                              {Type::kQ4_K, 512, {64, 96}},
                              {Type::kQ8_0, 160, {32, 64}},
                              {Type::kQ6_K, 256, {544, 32}},
                              // In words: rows are whole blocks.
                              {Type::kQ4_K, 256, {64, 320}},
                              {Type::kQ8_0, 96, {1088, 64}},
                              {Type::kQ4_0, 576, {576, 192}},
                              {Type::kBF16, 96, {128, 64}}};
  for (const MatMulCase& a : cases)
    for (const int64_t tokens : {1, 3, 150})
      for (const Precision precision : {Precision::kFloats, Precision::kWords}) {
        BackendCase c(table(), 3);
        std::vector<Weight> weights;
        std::vector<Matrix> matrices;
        std::vector<Floats> douts;
        std::vector<ProductGradient> products;
        const bool is_packed = tokens != 3;
        for (const int64_t rows : a.rows) {
          weights.emplace_back(a.type, rows, a.k, rng);
          douts.push_back(Random(tokens * Wide(rows), rng));
        }
        for (const Weight& weight : weights)
          matrices.push_back(is_packed ? c.backend->MakeMatrix(weight.plain)
                                       : c.backend->ViewMatrix(weight.plain));
        for (size_t i = 0; i < matrices.size(); ++i)
          products.push_back({&matrices[i], douts[i].data(), Wide(a.rows[i])});
        const int64_t stride = Wide(a.k);
        const Floats before = Random(tokens * stride, rng);
        for (const bool adds : {false, true}) {
          Floats dx = before;
          c.backend->gradients()->MatMul(products, tokens, a.k, precision, adds, stride, dx.data());
          Floats got;
          Doubles expected;
          for (int64_t t = 0; t < tokens; ++t)
            for (int64_t i = 0; i < a.k; ++i) {
              double sum =
                  adds ? static_cast<double>(before[static_cast<size_t>(t * stride + i)]) : 0;
              for (size_t p = 0; p < products.size(); ++p)
                for (int64_t n = 0; n < a.rows[p]; ++n)
                  sum += static_cast<double>(
                             douts[p][static_cast<size_t>(t * products[p].stride + n)]) *
                         static_cast<double>(weights[p].decoded[static_cast<size_t>(n * a.k + i)]);
              expected.push_back(sum);
              got.push_back(dx[static_cast<size_t>(t * stride + i)]);
            }
          const bool is_rounded = precision == Precision::kWords && a.type != Type::kF32 &&
                                  a.rows[0] % 64 == 0 && a.rows[1] % 64 == 0;
          const double distance = Distance(got, expected);
          ASSERT_LE(distance, is_rounded ? 1.5e-3 : 1e-6)
              << quant::Traits(a.type).name << " tokens=" << tokens
              << " words=" << (precision == Precision::kWords);
          if (is_rounded) {
            ASSERT_GE(distance, 1e-5);
          }
        }
      }
}

// A batch cut in two gives the bits of the whole.
TEST_P(GradientOps, ProductsDoNotDependOnTheBatch) {
  std::mt19937 rng(132);
  BackendCase one(table(), 1), three(table(), 3);
  constexpr int64_t kRows = 320;
  const Weight weight(Type::kQ4_K, kRows, 512, rng);
  const Matrix a = one.backend->MakeMatrix(weight.plain),
               b = three.backend->MakeMatrix(weight.plain);
  const int64_t tokens = 70, stride = Wide(512), dout_stride = Wide(kRows);
  const Floats dout = Random(tokens * dout_stride, rng);
  for (const Precision precision : {Precision::kFloats, Precision::kWords}) {
    Floats whole(static_cast<size_t>(tokens * stride)), parts = whole;
    const ProductGradient all = {&a, dout.data(), dout_stride};
    one.backend->gradients()->MatMul({&all, 1}, tokens, 512, precision, false, stride,
                                     whole.data());
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 23}, {23, 47}}) {
      const ProductGradient part = {&b, dout.data() + first * dout_stride, dout_stride};
      three.backend->gradients()->MatMul({&part, 1}, count, 512, precision, false, stride,
                                         parts.data() + first * stride);
    }
    EXPECT_TRUE(testing::SameBits(parts, whole)) << (precision == Precision::kWords);
  }
}

TEST_P(GradientOps, OuterProducts) {
  std::mt19937 rng(133);
  BackendCase c(table(), 3);
  for (const auto& [rows, m, n] : {std::array<int64_t, 3>{1, 4, 40}, {37, 3, 7}, {130, 16, 300}}) {
    const Floats a = Random(rows * (m + 3), rng), b = Random(rows * (n + 1), rng);
    testing::Guarded out(static_cast<size_t>(m * n));
    OuterProduct op = {rows, m, n, -1.5f, a.data(), m + 3, b.data(), n + 1, out.data(), n};
    c.backend->gradients()->Outer(op);
    ASSERT_TRUE(out.IsIntact());
    Doubles expected;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t t = 0; t < rows; ++t)
          sum += static_cast<double>(a[static_cast<size_t>(t * (m + 3) + i)]) *
                 static_cast<double>(b[static_cast<size_t>(t * (n + 1) + j)]);
        expected.push_back(-1.5 * sum);
      }
    EXPECT_LE(Distance({out.values().begin(), out.values().end()}, expected), 1e-6);
  }
}

TEST_P(GradientOps, SumsOfProducts) {
  std::mt19937 rng(134);
  BackendCase c(table(), 2);
  const int64_t rows = 21, n = 300;
  const Floats a = Random(rows * n, rng), b = Random(rows * n, rng), offset = Random(n, rng);
  Floats got(static_cast<size_t>(n));
  c.backend->gradients()->SumProducts(rows, n, a.data(), n, b.data(), n, offset.data(), false,
                                      got.data());
  Doubles expected(static_cast<size_t>(n));
  for (int64_t t = 0; t < rows; ++t)
    for (size_t i = 0; i < expected.size(); ++i) {
      const size_t at = static_cast<size_t>(t * n) + i;
      expected[i] += static_cast<double>(a[at]) *
                     (static_cast<double>(b[at]) - static_cast<double>(offset[i]));
    }
  EXPECT_LE(Distance(got, expected), 1e-6);
}

TEST_P(GradientOps, WeightsOfNorms) {
  std::mt19937 rng(138);
  BackendCase c(table(), 2);
  const int64_t rows = 21, n = 37, x_stride = 41, dout_stride = 48;
  const Floats x = Random(rows * x_stride, rng), dout = Random(rows * dout_stride, rng);
  Floats got(static_cast<size_t>(n), 1.0f);
  Doubles expected(static_cast<size_t>(n), 1.0);
  c.backend->gradients()->NormWeights(x.data(), x_stride, 1e-2f, dout.data(), dout_stride, rows, n,
                                      true, got.data());
  for (int64_t t = 0; t < rows; ++t) {
    double squares = 0;
    for (int64_t i = 0; i < n; ++i)
      squares += std::pow(static_cast<double>(x[static_cast<size_t>(t * x_stride + i)]), 2);
    for (int64_t i = 0; i < n; ++i)
      expected[static_cast<size_t>(i)] +=
          static_cast<double>(dout[static_cast<size_t>(t * dout_stride + i)]) *
          static_cast<double>(x[static_cast<size_t>(t * x_stride + i)]) /
          std::sqrt(squares / static_cast<double>(n) + 1e-2);
  }
  EXPECT_LE(Distance(got, expected), 1e-6);
}

// d loss / d x[i] by central differences.
Doubles Differences(const Floats& x, const std::function<double(const Doubles&)>& loss) {
  Doubles at(x.begin(), x.end()), result;
  for (double& value : at) {
    const double here = value, h = 1e-5;
    value = here + h;
    const double above = loss(at);
    value = here - h;
    result.push_back((above - loss(at)) / (2 * h));
    value = here;
  }
  return result;
}

struct AttentionShape {
  int64_t rows, heads, kv_heads, dim, window;
  double softcap;
};

// q, k, v one behind the other in x; the loss is the sum of dout times what attention gives.
double AttentionLoss(const AttentionShape& s, const Doubles& x, const Floats& dout) {
  const int64_t q_width = s.heads * s.dim, kv_width = s.kv_heads * s.dim;
  const double *q = x.data(), *k = q + s.rows * q_width, *v = k + s.rows * kv_width;
  double loss = 0;
  for (int64_t t = 0; t < s.rows; ++t)
    for (int64_t h = 0; h < s.heads; ++h) {
      const int64_t kv = h / (s.heads / s.kv_heads);
      Doubles scores;
      double total = 0;
      const int64_t begin = s.window > 0 ? std::max<int64_t>(0, t - s.window + 1) : 0;
      for (int64_t p = begin; p <= t; ++p) {
        double score = 0;
        for (int64_t d = 0; d < s.dim; ++d)
          score += q[t * q_width + h * s.dim + d] * k[p * kv_width + kv * s.dim + d];
        if (s.softcap > 0) score = s.softcap * std::tanh(score / s.softcap);
        scores.push_back(std::exp(score));
        total += scores.back();
      }
      for (int64_t d = 0; d < s.dim; ++d) {
        double out = 0;
        for (int64_t p = begin; p <= t; ++p)
          out += scores[static_cast<size_t>(p - begin)] / total * v[p * kv_width + kv * s.dim + d];
        loss += out * static_cast<double>(dout[static_cast<size_t>(t * q_width + h * s.dim + d)]);
      }
    }
  return loss;
}

TEST_P(GradientOps, Attention) {
  std::mt19937 rng(135);
  BackendCase c(table(), 3);
  for (const AttentionShape& s : {AttentionShape{5, 2, 1, 8, 0, 0},
                                  {19, 2, 2, 6, 7, 0},
                                  {70, 2, 1, 4, 0, 2.0},
                                  {67, 1, 1, 4, 20, 1.5}}) {
    const int64_t q_width = s.heads * s.dim, kv_width = s.kv_heads * s.dim;
    const int64_t stride = q_width + 2 * kv_width + 5;
    const Floats x = Random(s.rows * (q_width + 2 * kv_width), rng);
    const Floats dout = Random(s.rows * q_width, rng);
    // Side by side, as layers have them.
    Floats rows(static_cast<size_t>(s.rows * stride)), slopes = rows;
    const auto each = [&](const auto& f) {
      int64_t from = 0, to = 0;
      for (const int64_t width : {q_width, kv_width, kv_width}) {
        for (int64_t t = 0; t < s.rows; ++t)
          for (int64_t i = 0; i < width; ++i)
            f(static_cast<size_t>(from + t * width + i), static_cast<size_t>(t * stride + to + i));
        from += s.rows * width;
        to += width;
      }
    };
    each([&](size_t from, size_t to) { rows[to] = x[from]; });
    AttentionGradient op;
    op.rows = s.rows, op.heads = s.heads, op.kv_heads = s.kv_heads, op.head_dim = s.dim;
    op.window = s.window, op.softcap = static_cast<float>(s.softcap);
    op.q = rows.data(), op.k = op.q + q_width, op.v = op.k + kv_width, op.stride = stride;
    op.dout = dout.data(), op.dout_stride = q_width;
    op.dq = slopes.data(), op.dk = op.dq + q_width, op.dv = op.dk + kv_width;
    c.backend->gradients()->Attention({&op, 1});
    Floats got(x.size());
    each([&](size_t from, size_t to) { got[from] = slopes[to]; });
    const Doubles expected =
        Differences(x, [&](const Doubles& at) { return AttentionLoss(s, at, dout); });
    EXPECT_LE(Distance(got, expected), 2e-6) << "rows=" << s.rows << " window=" << s.window;
  }
}

TEST_P(GradientOps, NormsRotationsAndScalesOfQueriesAndKeys) {
  std::mt19937 rng(136);
  BackendCase c(table(), 3);
  for (const bool is_interleaved : {false, true})
    for (const bool has_norm : {false, true}) {
      const int64_t rows = 9, heads = 3, kv_heads = 2, dim = 12, half = 4;
      const int64_t stride = (heads + kv_heads) * dim + 7;
      const Floats x = Random(rows * stride, rng), dout = Random(rows * stride, rng);
      const Floats norm = Random(dim + 4, rng), angles = Random(rows * half, rng);
      Floats cos, sin;
      for (const float angle : angles) {
        cos.push_back(std::cos(angle));
        sin.push_back(std::sin(angle));
      }
      const Floats scales = Random(rows, rng);
      StoreArgs args;
      args.rows = rows, args.stride = stride, args.heads = heads, args.eps = 1e-2f;
      args.q_norm = args.k_norm = has_norm ? norm.data() : nullptr;
      args.rope = {cos.data(), sin.data(), 2 * half, is_interleaved};
      args.q_scale = scales.data();
      args.layout.kv_heads = kv_heads, args.layout.head_dim = dim;
      Floats slopes = dout;
      args.q = slopes.data(), args.k = slopes.data() + heads * dim;
      c.backend->gradients()->Rotate(args);
      c.backend->gradients()->HeadNorms(args, x.data(), x.data() + heads * dim);
      const auto loss = [&](const Doubles& at) {
        double sum = 0;
        for (int64_t t = 0; t < rows; ++t)
          for (int64_t h = 0; h < heads + kv_heads; ++h) {
            const auto first = static_cast<size_t>(t * stride + h * dim);
            Doubles head(at.begin() + static_cast<std::ptrdiff_t>(first),
                         at.begin() + static_cast<std::ptrdiff_t>(first) + dim);
            double squares = 0;
            for (const double v : head) squares += v * v;
            const double factor = 1 / std::sqrt(squares / dim + static_cast<double>(args.eps));
            for (size_t i = 0; has_norm && i < head.size(); ++i)
              head[i] *= factor * static_cast<double>(norm[i]);
            for (size_t i = 0; i < half; ++i) {
              double& a = head[is_interleaved ? 2 * i : i];
              double& b = head[is_interleaved ? 2 * i + 1 : i + half];
              const auto angle = static_cast<size_t>(t * half) + i;
              const double cosine = static_cast<double>(cos[angle]),
                           sine = static_cast<double>(sin[angle]);
              const double turned = a * cosine - b * sine;
              b = b * cosine + a * sine;
              a = turned;
            }
            for (size_t i = 0; i < head.size(); ++i)
              sum += static_cast<double>(dout[first + i]) * head[i] *
                     (h < heads ? static_cast<double>(scales[static_cast<size_t>(t)]) : 1);
          }
        return sum;
      };
      const Doubles all = Differences(x, loss);
      Floats got;
      Doubles expected;
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t i = 0; i < (heads + kv_heads) * dim; ++i) {
          got.push_back(slopes[static_cast<size_t>(t * stride + i)]);
          expected.push_back(all[static_cast<size_t>(t * stride + i)]);
        }
      EXPECT_LE(Distance(got, expected), 2e-6) << is_interleaved << has_norm;
    }
}

TEST_P(GradientOps, Loss) {
  std::mt19937 rng(137);
  BackendCase c(table(), 2);
  for (const float cap : {0.0f, 2.0f}) {
    const int64_t rows = 5, vocab = 37, stride = 48;
    const Floats x = Random(rows * vocab, rng);
    const std::vector<int32_t> labels = {0, 36, 17, 16, 3};
    Floats logits(static_cast<size_t>(rows * stride)), losses(static_cast<size_t>(rows));
    for (int64_t t = 0; t < rows; ++t)
      std::copy_n(&x[static_cast<size_t>(t * vocab)], vocab,
                  &logits[static_cast<size_t>(t * stride)]);
    c.backend->gradients()->Loss({labels, vocab, stride, cap, 0.25f, logits.data(), losses.data()});
    const auto of_row = [&](const Doubles& at, int64_t t) {
      const auto z = [&](int64_t i) {
        const double value = at[static_cast<size_t>(t * vocab + i)];
        return cap > 0 ? static_cast<double>(cap) * std::tanh(value / static_cast<double>(cap))
                       : value;
      };
      double total = 0;
      for (int64_t i = 0; i < vocab; ++i) total += std::exp(z(i));
      return std::log(total) - z(labels[static_cast<size_t>(t)]);
    };
    const Doubles at(x.begin(), x.end());
    for (int64_t t = 0; t < rows; ++t)
      EXPECT_NEAR(static_cast<double>(losses[static_cast<size_t>(t)]), of_row(at, t), 1e-6);
    const Doubles expected = Differences(x, [&](const Doubles& here) {
      double sum = 0;
      for (int64_t t = 0; t < rows; ++t) sum += 0.25 * of_row(here, t);
      return sum;
    });
    Floats got;
    for (int64_t t = 0; t < rows; ++t)
      for (int64_t i = 0; i < vocab; ++i)
        got.push_back(logits[static_cast<size_t>(t * stride + i)]);
    EXPECT_LE(Distance(got, expected), 2e-6) << cap;
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, GradientOps, ::testing::ValuesIn(testing::TablesUnderTest()),
                         [](const auto& test) { return std::string(test.param->isa); });

}  // namespace
}  // namespace slm::ops
