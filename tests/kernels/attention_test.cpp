// Attention over one page and the merging of pages.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include "support/floats.h"
#include "support/kv_page.h"
#include "support/tables.h"

namespace slm::kernels {
namespace {

using testing::KvPageBuffer;
using testing::Values;

constexpr int64_t kHeadDims[] = {8, 16, 20, 24, 40, 64, 80, 96, 128, 256};

// Rows that look at one page. `first` and `last` bound the positions that any of them sees.
struct Case {
  int64_t dim = 0;
  std::vector<int> begin, end;
  float softcap = 0;
  std::vector<float> q, k, v;  // [rows][dim], [64][dim]

  int rows() const { return static_cast<int>(begin.size()); }
  int first() const { return *std::min_element(begin.begin(), begin.end()); }
  int last() const { return *std::max_element(end.begin(), end.end()); }
};

enum class Spans { kAll, kSingle, kCausal, kWindow };

Case MakeCase(int64_t dim, int rows, Spans spans, Values values, std::mt19937& rng) {
  Case c;
  c.dim = dim;
  const int window = 1 + static_cast<int>(rng() % 20);
  const int start = static_cast<int>(rng() % static_cast<unsigned>(kPagePositions - rows + 1));
  for (int r = 0; r < rows; ++r) {
    const int position = start + r;
    const int begin = spans == Spans::kSingle   ? position
                      : spans == Spans::kWindow ? std::max(0, position - window + 1)
                                                : 0;
    c.begin.push_back(begin);
    c.end.push_back(spans == Spans::kAll ? kPagePositions : position + 1);
  }
  c.softcap = rng() % 2 ? 20.0f : 0.0f;
  c.q = MakeFloats(values, static_cast<size_t>(rows * dim), rng);
  if (values == Values::kNormal)
    for (float& x : c.q) x /= std::sqrt(static_cast<float>(dim));
  c.k = MakeFloats(values, static_cast<size_t>(kPagePositions * dim), rng);
  c.v = MakeFloats(values, static_cast<size_t>(kPagePositions * dim), rng);
  return c;
}

Case RandomCase(int64_t dim, Values values, std::mt19937& rng) {
  return MakeCase(dim, 1 + static_cast<int>(rng() % 20), static_cast<Spans>(rng() % 4), values,
                  rng);
}

// A page with the positions that some row sees; all else is `fill`.
KvPageBuffer FillPage(const Case& c, KvType k_type, KvType v_type, uint8_t fill) {
  KvPageBuffer page(k_type, v_type, c.dim, fill);
  for (int p = c.first(); p < c.last(); ++p)
    testing::Scalar().store_kv(&c.k[static_cast<size_t>(p * c.dim)],
                               &c.v[static_cast<size_t>(p * c.dim)], c.dim, p, page.page());
  return page;
}

// [rows][dim] outputs, then the maxima, then the sums, of `count` rows from row `first` on.
std::vector<float> Attend(const KernelTable& table, const Case& c, KvPageBuffer* page, int first,
                          int count) {
  const int64_t stride = c.dim + 3;
  const auto rows = static_cast<size_t>(count);
  testing::Guarded out(rows * static_cast<size_t>(stride)), max(rows), sum(rows);
  const AttentionArgs args = {.page = page->page(),
                              .head_dim = c.dim,
                              .q = &c.q[static_cast<size_t>(first * c.dim)],
                              .q_stride = c.dim,
                              .heads = count,
                              .begin = &c.begin[static_cast<size_t>(first)],
                              .end = &c.end[static_cast<size_t>(first)],
                              .softcap = c.softcap,
                              .out = out.data(),
                              .out_stride = stride,
                              .max = max.data(),
                              .sum = sum.data()};
  table.attention(args);
  EXPECT_TRUE(out.IsIntact() && max.IsIntact() && sum.IsIntact()) << table.isa;
  std::vector<float> result;
  for (int64_t r = 0; r < count; ++r)
    for (int64_t d = 0; d < stride; ++d) {
      const float x = out.values()[static_cast<size_t>(r * stride + d)];
      if (d < c.dim)
        result.push_back(x);
      else
        EXPECT_EQ(x, -7.0f) << table.isa << " wrote between rows";
    }
  result.insert(result.end(), max.values().begin(), max.values().end());
  result.insert(result.end(), sum.values().begin(), sum.values().end());
  return result;
}

class Attention : public ::testing::TestWithParam<std::tuple<KvType, KvType>> {
 protected:
  KvPageBuffer Page(const Case& c, uint8_t fill) const {
    return FillPage(c, std::get<0>(GetParam()), std::get<1>(GetParam()), fill);
  }
};

TEST_P(Attention, FastTablesMatchTheSpecificationBitForBit) {
  std::mt19937 rng(41);
  for (const Values values : testing::kAllValues)
    for (const int64_t dim : kHeadDims)
      for (int round = 0; round < 4; ++round) {
        const Case c = RandomCase(dim, values, rng);
        KvPageBuffer page = Page(c, 0xff);
        const std::vector<float> expected = Attend(testing::Scalar(), c, &page, 0, c.rows());
        for (const KernelTable* table : testing::FastTables())
          ASSERT_TRUE(testing::SameBits(Attend(*table, c, &page, 0, c.rows()), expected))
              << table->isa << " Dh=" << dim << " rows=" << c.rows() << " "
              << testing::NameOf(values);
      }
}

TEST_P(Attention, WhatNoRowSeesDoesNotMatter) {
  std::mt19937 rng(42);
  for (const int64_t dim : {20, 64})
    for (int round = 0; round < 12; ++round) {
      const Case c = RandomCase(dim, Values::kNormal, rng);
      KvPageBuffer clean = Page(c, 0);
      for (const KernelTable* table : testing::TablesUnderTest()) {
        const std::vector<float> expected = Attend(*table, c, &clean, 0, c.rows());
        for (const float x : expected) ASSERT_TRUE(std::isfinite(x));
        for (const int fill : {0xff, 0x7c, 0x80}) {  // NaN, large numbers, small ones
          KvPageBuffer stale = Page(c, static_cast<uint8_t>(fill));
          ASSERT_TRUE(testing::SameBits(Attend(*table, c, &stale, 0, c.rows()), expected))
              << table->isa << " fill " << fill;
        }
      }
    }
}

TEST_P(Attention, RowsDoNotDependOnTheirNeighbours) {
  std::mt19937 rng(43);
  for (const Spans spans : {Spans::kAll, Spans::kSingle, Spans::kCausal, Spans::kWindow})
    for (const Values values : {Values::kNormal, Values::kFinite}) {
      Case c = MakeCase(40, 9, spans, values, rng);
      // Only where what is stored is finite: a weight of zero does not hide a neighbour's infinity.
      for (float& x : c.v) x = std::clamp(x, -65504.0f, 65504.0f);
      KvPageBuffer page = Page(c, 0xff);
      for (const KernelTable* table : testing::TablesUnderTest()) {
        const std::vector<float> together = Attend(*table, c, &page, 0, 9);
        const auto row = [&](const std::vector<float>& all, int rows, int r) {
          std::vector<float> x(all.begin() + r * c.dim, all.begin() + (r + 1) * c.dim);
          x.push_back(all[static_cast<size_t>(rows * c.dim + r)]);
          x.push_back(all[static_cast<size_t>(rows * c.dim + rows + r)]);
          return x;
        };
        for (const int count : {1, 2, 3, 4, 5, 7})
          for (int first = 0; first + count <= 9; ++first) {
            const std::vector<float> some = Attend(*table, c, &page, first, count);
            for (int r = 0; r < count; ++r)
              ASSERT_TRUE(testing::SameBits(row(some, count, r), row(together, 9, first + r)))
                  << table->isa << " row " << first + r << " in a call of " << count;
          }
      }
    }
}

// Scores are sums of Dh products, each step rounding once, and blocks of kQ8_0 once more: off by at
// most Dh / 2 + Dh / 64 ulp of the sum of magnitudes; a weight is off by twice that (its maximum
// is, too) and 1 ulp, an output by that and 65 roundings more, of which one is by the scale.
TEST_P(Attention, SpecificationIsNearTheReference) {
  std::mt19937 rng(44);
  for (const int64_t dim : kHeadDims)
    for (int round = 0; round < 6; ++round) {
      const Case c = RandomCase(dim, Values::kNormal, rng);
      KvPageBuffer page = Page(c, 0xff);
      const std::vector<float> expected = Attend(testing::Ref(), c, &page, 0, c.rows());
      const std::vector<float> got = Attend(testing::Scalar(), c, &page, 0, c.rows());
      const auto rows = static_cast<size_t>(c.rows()), n = static_cast<size_t>(dim);
      for (size_t r = 0; r < rows; ++r) {
        double magnitude = 0, largest_v = 0;
        for (int p = c.begin[r]; p < c.end[r]; ++p) {
          double sum = 0;
          for (size_t d = 0; d < n; ++d) {
            sum +=
                std::fabs(static_cast<double>(c.q[r * n + d] * page.K(p, static_cast<int64_t>(d))));
            largest_v = std::max(
                largest_v, std::fabs(static_cast<double>(page.V(p, static_cast<int64_t>(d)))));
          }
          magnitude = std::max(magnitude, sum);
        }
        const double capped = c.softcap > 0 ? 2 * static_cast<double>(c.softcap) * 0x1p-23 : 0;
        const double roundings = static_cast<double>(dim + (dim + 31) / 32);
        const double score = roundings * magnitude * 0x1p-24 + capped;
        const double weight = 2 * score + 4 * 0x1p-23;
        const auto max = rows * n + r, sum = max + rows;
        ASSERT_NEAR(got[max], expected[max], score + 0x1p-22);
        ASSERT_NEAR(got[sum], expected[sum], static_cast<double>(expected[sum]) * weight);
        for (size_t d = 0; d < n; ++d)
          ASSERT_NEAR(got[r * n + d], expected[r * n + d],
                      static_cast<double>(expected[sum]) * largest_v * (weight + 65 * 0x1p-24));
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, Attention,
                         ::testing::Combine(::testing::ValuesIn(testing::kKvTypes),
                                            ::testing::ValuesIn(testing::kKvTypes)),
                         [](const auto& test) {
                           return std::string(testing::NameOf(std::get<0>(test.param))) + "_" +
                                  testing::NameOf(std::get<1>(test.param));
                         });

// --- Merging

struct Running {
  std::vector<float> out;
  float max = -std::numeric_limits<float>::infinity();
  float sum = 0;

  explicit Running(size_t dim) : out(dim) {}
  void Add(const KernelTable& table, const std::vector<float>& page_out, float page_max,
           float page_sum) {
    table.attention_merge({page_out.data(), &page_max, &page_sum, 1, 1},
                          static_cast<int64_t>(out.size()), out.data(), &max, &sum);
  }
};

TEST(AttentionMerge, FirstPageIsTakenAsItIs) {
  std::mt19937 rng(45);
  for (const size_t dim : {8, 20, 128})
    for (const float max : {-1000.0f, -3.5f, 0.0f, 90.0f, 1e30f}) {
      const std::vector<float> page = MakeFloats(Values::kFinite, dim, rng);
      for (const KernelTable* table : testing::TablesUnderTest()) {
        Running all(dim);
        all.Add(*table, page, max, 3.25f);
        EXPECT_EQ(all.out, page) << table->isa;  // -0 may have become 0
        EXPECT_EQ(all.max, max);
        EXPECT_EQ(all.sum, 3.25f);
      }
    }
}

TEST(AttentionMerge, TablesMatchAndAreNearTheReference) {
  std::mt19937 rng(46);
  for (size_t dim = 1; dim <= 100; ++dim)
    for (const float spread : {0.0f, 3.0f, 200.0f}) {
      std::vector<Running> fast(testing::FastTables().size(), Running(dim));
      Running scalar(dim), ref(dim);
      for (int page = 0; page < 6; ++page) {
        const std::vector<float> out = MakeFloats(Values::kNormal, dim, rng);
        const float max = MakeFloats(Values::kNormal, 1, rng)[0] * spread;
        const float sum = 1 + static_cast<float>(rng() % 1000) / 16;
        scalar.Add(testing::Scalar(), out, max, sum);
        ref.Add(testing::Ref(), out, max, sum);
        for (size_t t = 0; t < fast.size(); ++t) {
          const KernelTable& table = *testing::FastTables()[t];
          fast[t].Add(table, out, max, sum);
          ASSERT_TRUE(testing::SameBits(fast[t].out, scalar.out)) << table.isa << " Dh=" << dim;
          const float a[] = {fast[t].max, fast[t].sum}, b[] = {scalar.max, scalar.sum};
          ASSERT_TRUE(testing::SameBits(a, b)) << table.isa << " Dh=" << dim;
        }
        // A merge adds an ulp of exp, two products' and a sum's rounding to each of two terms; the
        // differences of maxima that exp sees are rounded, too.
        const double tolerance = (page + 1) * (4 + static_cast<double>(spread)) * 0x1p-23;
        ASSERT_EQ(scalar.max, ref.max);
        ASSERT_NEAR(scalar.sum, ref.sum, static_cast<double>(ref.sum) * tolerance);
        for (size_t d = 0; d < dim; ++d) ASSERT_NEAR(scalar.out[d], ref.out[d], 10 * tolerance);
      }
    }
}

TEST(AttentionMerge, ManyPagesComeOutAsOneByOne) {
  std::mt19937 rng(47);
  constexpr int kStride = 3;
  for (const int64_t dim : {16, 40, 64, 250})
    for (const int count : {0, 1, 2, 16, 17, 50}) {
      const auto rows = static_cast<size_t>(count * kStride + 1);
      const std::vector<float> out =
          MakeFloats(Values::kNormal, rows * static_cast<size_t>(dim), rng);
      const std::vector<float> max = MakeFloats(Values::kNormal, rows, rng);
      std::vector<float> sum = MakeFloats(Values::kNormal, rows, rng);  // some saw nothing
      for (float& x : sum) x = x < -1 ? -1 : std::fabs(x);
      for (const KernelTable* table : testing::TablesUnderTest()) {
        Running together(static_cast<size_t>(dim)), each = together;
        table->attention_merge({out.data(), max.data(), sum.data(), kStride, count}, dim,
                               together.out.data(), &together.max, &together.sum);
        for (int i = 0; i < count; ++i) {
          const int64_t at = i * kStride;
          if (sum[static_cast<size_t>(at)] < 0) continue;
          table->attention_merge(
              {&out[static_cast<size_t>(at * dim)], &max[static_cast<size_t>(at)],
               &sum[static_cast<size_t>(at)], 1, 1},
              dim, each.out.data(), &each.max, &each.sum);
        }
        ASSERT_TRUE(testing::SameBits(together.out, each.out)) << table->isa << " " << count;
        const float a[] = {together.max, together.sum}, b[] = {each.max, each.sum};
        ASSERT_TRUE(testing::SameBits(a, b)) << table->isa << " " << count;
      }
    }
}

}  // namespace
}  // namespace slm::kernels
