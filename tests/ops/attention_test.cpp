// Attention of a backend: the same bits however its rows are divided, near a plain one in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "ops/backend_case.h"
#include "support/floats.h"
#include "support/kv_page.h"
#include "support/tables.h"

namespace slm::ops {
namespace {

using kernels::kPagePositions;
using kernels::KvType;
using testing::Values;

struct Shape {
  int64_t kv_heads, group, dim;
  KvType k_type, v_type;
  int64_t position, rows;
  int64_t window;
  float softcap;
};

// Queries of `rows` tokens from `position` on, and the cache up to the last of them.
struct Case {
  Shape shape;
  KvLayout layout;
  std::vector<float> q, k, v;  // [T][H][Dh], [S][K][Dh]
  std::vector<std::vector<uint8_t>> memory;
  std::vector<uint8_t*> pages;

  int64_t heads() const { return shape.kv_heads * shape.group; }
  int64_t length() const { return shape.position + shape.rows; }
  int64_t q_stride() const { return heads() * shape.dim + 3; }
  int64_t out_stride() const { return heads() * shape.dim + 1; }

  Case(const Shape& s, std::mt19937& rng) : shape(s) {
    layout = {s.k_type, s.v_type, s.kv_heads, s.dim};
    q = MakeFloats(Values::kNormal, static_cast<size_t>(s.rows * q_stride()), rng);
    for (float& x : q) x /= std::sqrt(static_cast<float>(s.dim));
    const auto n = static_cast<size_t>(length() * s.kv_heads * s.dim);
    k = MakeFloats(Values::kNormal, n, rng);
    v = MakeFloats(Values::kNormal, n, rng);
    const int64_t count = (length() + kPagePositions - 1) / kPagePositions;
    // Positions that are not stored stay NaN.
    memory.assign(static_cast<size_t>(count), std::vector<uint8_t>(layout.page_bytes(), 0xff));
    for (std::vector<uint8_t>& page : memory) pages.push_back(page.data());
    for (int64_t p = 0; p < length(); ++p)
      for (int64_t h = 0; h < s.kv_heads; ++h) {
        const auto at = static_cast<size_t>((p * s.kv_heads + h) * s.dim);
        testing::Scalar().store_kv(&k[at], &v[at], s.dim, static_cast<int>(p % kPagePositions),
                                   layout.Head(pages[static_cast<size_t>(p / kPagePositions)], h));
      }
    // A cache may have dropped what the first row's window has left behind.
    const int64_t seen = s.window > 0 ? std::max<int64_t>(0, s.position - s.window + 1) : 0;
    for (int64_t p = 0; p < seen / kPagePositions; ++p) pages[static_cast<size_t>(p)] = nullptr;
  }
};

// [T][H][Dh], in calls of at most `at_once` rows.
std::vector<float> Attend(Backend* backend, const Case& c, int64_t at_once) {
  std::vector<float> out(static_cast<size_t>(c.shape.rows * c.out_stride()), -7.0f);
  for (int64_t t = 0; t < c.shape.rows; t += at_once)
    backend->Attention({.rows = std::min(at_once, c.shape.rows - t),
                        .q = &c.q[static_cast<size_t>(t * c.q_stride())],
                        .q_stride = c.q_stride(),
                        .heads = c.heads(),
                        .layout = c.layout,
                        .pages = c.pages,
                        .position = c.shape.position + t,
                        .window = c.shape.window,
                        .softcap = c.shape.softcap,
                        .out = &out[static_cast<size_t>(t * c.out_stride())],
                        .out_stride = c.out_stride()});
  std::vector<float> result;
  for (int64_t t = 0; t < c.shape.rows; ++t) {
    const auto row = out.begin() + t * c.out_stride();
    result.insert(result.end(), row, row + c.heads() * c.shape.dim);
    EXPECT_EQ(row[c.heads() * c.shape.dim], -7.0f) << "wrote past a row";
  }
  return result;
}

// Softmax over all that a row sees, in double and in one piece.
std::vector<float> Plain(const Case& c) {
  const Shape& s = c.shape;
  const auto dim = static_cast<size_t>(s.dim);
  std::vector<float> rounded_k, rounded_v;  // [S][K][Dh]
  for (size_t at = 0; at < c.k.size(); at += dim) {
    const auto round = [&](KvType type, const std::vector<float>& from, std::vector<float>* to) {
      const auto begin = from.begin() + static_cast<std::ptrdiff_t>(at);
      const std::vector<float> x = testing::RoundToKv(type, {begin, begin + s.dim});
      to->insert(to->end(), x.begin(), x.end());
    };
    round(s.k_type, c.k, &rounded_k);
    round(s.v_type, c.v, &rounded_v);
  }
  std::vector<float> result;
  for (int64_t t = 0; t < s.rows; ++t)
    for (int64_t h = 0; h < c.heads(); ++h) {
      const int64_t position = s.position + t;
      const int64_t first = s.window > 0 ? std::max<int64_t>(0, position - s.window + 1) : 0;
      const float* q = &c.q[static_cast<size_t>(t * c.q_stride() + h * s.dim)];
      std::vector<double> score, out(dim);
      const auto at = [&](int64_t p) {
        return static_cast<size_t>((p * s.kv_heads + h / s.group) * s.dim);
      };
      for (int64_t p = first; p <= position; ++p) {
        double dot = 0;
        for (size_t d = 0; d < dim; ++d)
          dot += static_cast<double>(q[d]) * static_cast<double>(rounded_k[at(p) + d]);
        const auto cap = static_cast<double>(s.softcap);
        score.push_back(cap > 0 ? cap * std::tanh(dot / cap) : dot);
      }
      const double max = *std::max_element(score.begin(), score.end());
      double sum = 0;
      for (int64_t p = first; p <= position; ++p) {
        const double weight = std::exp(score[static_cast<size_t>(p - first)] - max);
        sum += weight;
        for (size_t d = 0; d < dim; ++d)
          out[d] += weight * static_cast<double>(rounded_v[at(p) + d]);
      }
      for (const double x : out) result.push_back(static_cast<float>(x / sum));
    }
  return result;
}

void Check(BackendCase* backend, const Case& c) {
  const std::vector<float> together = Attend(backend->backend.get(), c, c.shape.rows);
  // Values of about 2 in magnitude, scores of about 1: a few ulp of each.
  const std::vector<float> plain = Plain(c);
  for (size_t i = 0; i < plain.size(); ++i)
    ASSERT_NEAR(together[i], plain[i], 1e-5) << i << " position " << c.shape.position;
  for (const int64_t at_once : {1, 2, 7, 8, 9, 13})
    ASSERT_TRUE(testing::SameBits(Attend(backend->backend.get(), c, at_once), together))
        << at_once << " rows at once, window " << c.shape.window << ", position "
        << c.shape.position;
}

class Attention : public ::testing::TestWithParam<const kernels::KernelTable*> {
 protected:
  bool is_ref() const { return GetParam()->isa == "ref"; }
};

TEST_P(Attention, GroupsAndWindows) {
  std::mt19937 rng(71);
  BackendCase backend(*GetParam(), 2);
  for (const int64_t group : {1, 3, 4, 7, 8})
    for (const int64_t window : {0, 1, 5, 64, 100}) {
      const int64_t position = static_cast<int64_t>(rng() % 140);
      const Case c({.kv_heads = 2,
                    .group = group,
                    .dim = 24,
                    .k_type = KvType::kF16,
                    .v_type = KvType::kF16,
                    .position = position,
                    .rows = 30,
                    .window = window,
                    .softcap = group == 3 ? 5.0f : 0.0f},
                   rng);
      ASSERT_NO_FATAL_FAILURE(Check(&backend, c));
    }
}

TEST_P(Attention, EdgesOfPagesAndTypes) {
  std::mt19937 rng(72);
  BackendCase backend(*GetParam(), 3);
  for (const KvType k_type : testing::kKvTypes)
    for (const KvType v_type : testing::kKvTypes)
      for (const int64_t position : {0, 63, 64, 127, 190}) {
        const Case c({.kv_heads = 1,
                      .group = 2,
                      .dim = 40,
                      .k_type = k_type,
                      .v_type = v_type,
                      .position = position,
                      .rows = 17,
                      .window = position % 2 ? 66 : 0,
                      .softcap = 0},
                     rng);
        ASSERT_NO_FATAL_FAILURE(Check(&backend, c));
      }
}

TEST_P(Attention, ThreadsDoNotChangeABit) {
  std::mt19937 rng(73);
  for (const int64_t rows : {1, 5, 40}) {
    const Case c({.kv_heads = 3,
                  .group = 2,
                  .dim = 16,
                  .k_type = KvType::kQ8_0,
                  .v_type = KvType::kF16,
                  .position = 300,
                  .rows = rows,
                  .window = 0,
                  .softcap = 0},
                 rng);
    BackendCase alone(*GetParam(), 1);
    const std::vector<float> expected = Attend(alone.backend.get(), c, rows);
    for (const int threads : {2, 3, 5}) {
      BackendCase many(*GetParam(), threads);
      ASSERT_TRUE(testing::SameBits(Attend(many.backend.get(), c, rows), expected)) << threads;
    }
  }
}

// More pages than are shared out at a time.
TEST_P(Attention, LongContext) {
  std::mt19937 rng(74);
  BackendCase backend(*GetParam(), 2);
  const Case c({.kv_heads = 1,
                .group = 1,
                .dim = 8,
                .k_type = KvType::kF32,
                .v_type = KvType::kF32,
                .position = 257 * kPagePositions + 10,
                .rows = 10,
                .window = 0,
                .softcap = 0},
               rng);
  ASSERT_NO_FATAL_FAILURE(Check(&backend, c));
}

INSTANTIATE_TEST_SUITE_P(Tables, Attention,
                         ::testing::ValuesIn(testing::TablesUnderTest().begin(),
                                             testing::TablesUnderTest().end()),
                         [](const auto& test) { return std::string(test.param->isa); });

}  // namespace
}  // namespace slm::ops
