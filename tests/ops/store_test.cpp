// What Store does to queries and leaves in the cache: norm, rope, scale, rounding.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <tuple>

#include "ops/backend_case.h"
#include "support/floats.h"
#include "support/tables.h"

namespace slm::ops {
namespace {

using kernels::kPagePositions;
using kernels::KvType;
using testing::Values;

constexpr int64_t kHeads = 6, kKvHeads = 2, kDim = 40;
constexpr int64_t kStride = (kHeads + 2 * kKvHeads) * kDim + 7;
constexpr float kEps = 1e-5f;

struct Rows {
  std::vector<float> qkv, cos, sin, q_scale, q_norm, k_norm;
  bool has_norms;
  int64_t rope_n;
  bool is_interleaved;

  Rows(int64_t count, bool norms, int64_t n, bool interleaved, std::mt19937& rng)
      : qkv(MakeFloats(Values::kNormal, static_cast<size_t>(count * kStride), rng)),
        q_scale(MakeFloats(Values::kNormal, static_cast<size_t>(count), rng)),
        q_norm(MakeFloats(Values::kNormal, kDim, rng)),
        k_norm(MakeFloats(Values::kNormal, kDim, rng)),
        has_norms(norms),
        rope_n(n),
        is_interleaved(interleaved) {
    for (int64_t i = 0; i < count * n / 2; ++i) {
      const float angle = static_cast<float>(rng() % 1000) * 0.01f;
      cos.push_back(std::cos(angle));
      sin.push_back(std::sin(angle));
    }
  }

  // Rows first .. first + count of them, at `position`.
  StoreArgs Args(int64_t first, int64_t count, const KvLayout& layout,
                 std::span<uint8_t* const> pages, int64_t position) {
    float* row = qkv.data() + first * kStride;
    return {.rows = count,
            .q = row,
            .k = row + kHeads * kDim,
            .v = row + (kHeads + kKvHeads) * kDim,
            .stride = kStride,
            .heads = kHeads,
            .q_norm = has_norms ? q_norm.data() : nullptr,
            .k_norm = has_norms ? k_norm.data() : nullptr,
            .eps = kEps,
            .rope = {cos.data() + first * rope_n / 2, sin.data() + first * rope_n / 2, rope_n,
                     is_interleaved},
            .q_scale = q_scale.data() + first,
            .layout = layout,
            .pages = pages,
            .position = position};
  }
};

struct Pages {
  KvLayout layout;
  std::vector<std::vector<uint8_t>> memory;
  std::vector<uint8_t*> pointers;

  Pages(KvType k_type, KvType v_type, size_t count)
      : layout{k_type, v_type, kKvHeads, kDim},
        memory(count, std::vector<uint8_t>(layout.page_bytes(), 0x35)) {
    for (std::vector<uint8_t>& page : memory) pointers.push_back(page.data());
  }
};

// Head of a row, normed and rotated in double.
std::vector<double> Ready(const Rows& rows, const float* head, const std::vector<float>& norm,
                          int64_t t) {
  std::vector<double> x(head, head + kDim);
  if (rows.has_norms) {
    double squares = 0;
    for (const double v : x) squares += v * v;
    const double factor = 1 / std::sqrt(squares / kDim + static_cast<double>(kEps));
    for (size_t d = 0; d < x.size(); ++d) x[d] *= factor * static_cast<double>(norm[d]);
  }
  const int64_t half = rows.rope_n / 2;
  for (int64_t i = 0; i < half; ++i) {
    double& a = x[static_cast<size_t>(rows.is_interleaved ? 2 * i : i)];
    double& b = x[static_cast<size_t>(rows.is_interleaved ? 2 * i + 1 : i + half)];
    const auto c = static_cast<double>(rows.cos[static_cast<size_t>(t * half + i)]);
    const auto s = static_cast<double>(rows.sin[static_cast<size_t>(t * half + i)]);
    const double turned = a * c - b * s;
    b = a * s + b * c;
    a = turned;
  }
  return x;
}

using Param = std::tuple<const kernels::KernelTable*, bool, bool, int64_t>;

class Store : public ::testing::TestWithParam<Param> {
 protected:
  const kernels::KernelTable& table() const { return *std::get<0>(GetParam()); }
  Rows MakeRows(int64_t count, std::mt19937& rng) const {
    return Rows(count, std::get<1>(GetParam()), std::get<3>(GetParam()), std::get<2>(GetParam()),
                rng);
  }
};

TEST_P(Store, NormsRotatesScalesAndStores) {
  std::mt19937 rng(81);
  const int64_t count = 11, position = 60;  // over the edge of a page
  Rows rows = MakeRows(count, rng);
  const std::vector<float> before = rows.qkv;
  Pages pages(KvType::kF32, KvType::kF32, 2);
  BackendCase c(table(), 3);
  c.backend->Store(rows.Args(0, count, pages.layout, pages.pointers, position));
  for (int64_t t = 0; t < count; ++t) {
    const float* row = &before[static_cast<size_t>(t * kStride)];
    const float* after = &rows.qkv[static_cast<size_t>(t * kStride)];
    for (int64_t h = 0; h < kHeads; ++h) {
      const std::vector<double> q = Ready(rows, row + h * kDim, rows.q_norm, t);
      const auto scale = static_cast<double>(rows.q_scale[static_cast<size_t>(t)]);
      for (size_t d = 0; d < q.size(); ++d)
        ASSERT_NEAR(static_cast<double>(after[static_cast<size_t>(h * kDim) + d]), q[d] * scale,
                    1e-5);
    }
    const int64_t p = position + t;
    for (int64_t h = 0; h < kKvHeads; ++h) {
      const std::vector<double> k = Ready(rows, row + (kHeads + h) * kDim, rows.k_norm, t);
      const float* v = row + (kHeads + kKvHeads + h) * kDim;
      const kernels::KvPage page =
          pages.layout.Head(pages.pointers[static_cast<size_t>(p / kPagePositions)], h);
      for (int64_t d = 0; d < kDim; ++d) {
        float stored_k, stored_v;
        std::memcpy(&stored_k, page.k + 4 * (d * kPagePositions + p % kPagePositions), 4);
        std::memcpy(&stored_v, page.v + 4 * (p % kPagePositions * kDim + d), 4);
        ASSERT_NEAR(static_cast<double>(stored_k), k[static_cast<size_t>(d)], 1e-5);
        ASSERT_EQ(stored_v, v[d]);
      }
    }
    for (int64_t i = (kHeads + kKvHeads) * kDim; i < kStride; ++i)
      ASSERT_EQ(after[i], row[i]) << "values and what lies behind them stay";
  }
}

TEST_P(Store, GroupingOfRowsAndThreadsDoNotChangeABit) {
  std::mt19937 rng(82);
  const int64_t count = 33, position = 50;
  const Rows rows = MakeRows(count, rng);
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    Rows all = rows;
    Pages expected(type, type, 2);
    BackendCase alone(table(), 1);
    alone.backend->Store(all.Args(0, count, expected.layout, expected.pointers, position));
    for (const int threads : {1, 2, 5}) {
      BackendCase c(table(), threads);
      for (const int64_t at_once : {int64_t{1}, int64_t{7}, count}) {
        Rows some = rows;
        Pages pages(type, type, 2);
        for (int64_t t = 0; t < count; t += at_once)
          c.backend->Store(some.Args(t, std::min(at_once, count - t), pages.layout, pages.pointers,
                                     position + t));
        ASSERT_TRUE(testing::SameBits(some.qkv, all.qkv));
        ASSERT_EQ(pages.memory, expected.memory);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, Store,
                         ::testing::Combine(::testing::ValuesIn(testing::TablesUnderTest().begin(),
                                                                testing::TablesUnderTest().end()),
                                            ::testing::Bool(), ::testing::Bool(),
                                            ::testing::Values(kDim, 16)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)->isa) +
                                  (std::get<1>(test.param) ? "_normed" : "") +
                                  (std::get<2>(test.param) ? "_interleaved_" : "_halves_") +
                                  std::to_string(std::get<3>(test.param));
                         });

}  // namespace
}  // namespace slm::ops
