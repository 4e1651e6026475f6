// What a page holds after a position was stored: rounded as the cache type says, at its place, and
// nothing else changed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>

#include "base/half.h"
#include "quant/type.h"
#include "support/floats.h"
#include "support/kv_page.h"
#include "support/tables.h"

namespace slm::kernels {
namespace {

using testing::KvPageBuffer;
using testing::Values;

constexpr int64_t kHeadDims[] = {8, 16, 20, 24, 40, 64, 80, 96, 128, 256};
constexpr uint8_t kFill = 0x35;  // small finite values in every type

class StoreKv : public ::testing::TestWithParam<std::tuple<KvType, KvType>> {
 protected:
  KvType k_type() const { return std::get<0>(GetParam()); }
  KvType v_type() const { return std::get<1>(GetParam()); }
};

TEST_P(StoreKv, RoundsAsTheCacheTypeSaysAndTouchesNothingElse) {
  std::mt19937 rng(31);
  for (const int64_t dim : kHeadDims)
    for (const int position : {0, 1, 17, 63}) {
      const auto n = static_cast<size_t>(dim);
      const std::vector<float> k = MakeFloats(Values::kNormal, n, rng);
      const std::vector<float> v = MakeFloats(Values::kNormal, n, rng);
      const std::vector<float> rounded_k = testing::RoundToKv(k_type(), k);
      const std::vector<float> rounded_v = testing::RoundToKv(v_type(), v);
      const KvPageBuffer untouched(k_type(), v_type(), dim, kFill);
      KvPageBuffer page = untouched;
      testing::Scalar().store_kv(k.data(), v.data(), dim, position, page.page());
      for (int p = 0; p < kPagePositions; ++p)
        for (int64_t d = 0; d < dim; ++d) {
          const auto i = static_cast<size_t>(d);
          ASSERT_EQ(page.K(p, d), p == position ? rounded_k[i] : untouched.K(p, d))
              << p << " " << d;
          ASSERT_EQ(page.V(p, d), p == position ? rounded_v[i] : untouched.V(p, d))
              << p << " " << d;
        }
    }
}

TEST_P(StoreKv, EveryTableStoresTheSameBytes) {
  std::mt19937 rng(32);
  for (const Values values : testing::kAllValues)
    for (const int64_t dim : kHeadDims)
      for (int round = 0; round < 6; ++round) {
        const auto n = static_cast<size_t>(dim);
        const std::vector<float> k = MakeFloats(values, n, rng), v = MakeFloats(values, n, rng);
        const int position = static_cast<int>(rng() % kPagePositions);
        KvPageBuffer expected(k_type(), v_type(), dim, kFill);
        testing::Scalar().store_kv(k.data(), v.data(), dim, position, expected.page());
        for (const KernelTable* table : testing::TablesUnderTest()) {
          KvPageBuffer page(k_type(), v_type(), dim, kFill);
          table->store_kv(k.data(), v.data(), dim, position, page.page());
          ASSERT_TRUE(page == expected)
              << table->isa << " Dh=" << dim << " " << testing::NameOf(values);
        }
      }
}

INSTANTIATE_TEST_SUITE_P(Types, StoreKv,
                         ::testing::Combine(::testing::ValuesIn(testing::kKvTypes),
                                            ::testing::ValuesIn(testing::kKvTypes)),
                         [](const auto& test) {
                           return std::string(testing::NameOf(std::get<0>(test.param))) + "_" +
                                  testing::NameOf(std::get<1>(test.param));
                         });

// What is stored is finite, or rows that must not see it would: 0 * infinity.
TEST(StoreKv, Saturates) {
  std::vector<float> x(32, 1.0f);
  x[3] = 1e30f;
  x[4] = -std::numeric_limits<float>::infinity();
  x[5] = 70000.0f;
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    KvPageBuffer page(type, type, 32, kFill);
    testing::Scalar().store_kv(x.data(), x.data(), 32, 5, page.page());
    if (type == KvType::kQ8_0) {
      uint16_t scale;
      std::memcpy(&scale, page.page().v_scales + 2 * 5, 2);
      EXPECT_EQ(HalfToFloat(scale), 65504.0f);
      continue;
    }
    uint16_t halves[32];
    std::memcpy(halves, page.page().v + 64 * 5, 64);
    EXPECT_EQ(HalfToFloat(halves[2]), 1.0f);
    EXPECT_EQ(HalfToFloat(halves[3]), 65504.0f);
    EXPECT_EQ(HalfToFloat(halves[4]), -65504.0f);
    EXPECT_EQ(HalfToFloat(halves[5]), 65504.0f);
  }
}

// The same blocks as the encoder of the file type makes, but that ties go to even here.
TEST(StoreKv, Q8AgreesWithTheEncoderOfFiles) {
  std::mt19937 rng(33);
  const auto encode = quant::Traits(quant::Type::kQ8_0).encode;
  for (int round = 0; round < 2000; ++round) {
    const std::vector<float> x = MakeFloats(round % 2 ? Values::kNormal : Values::kFinite, 32, rng);
    uint8_t block[34];
    encode(x.data(), block, 32);
    KvPageBuffer page(KvType::kF32, KvType::kQ8_0, 32, kFill);
    testing::Scalar().store_kv(x.data(), x.data(), 32, 5, page.page());
    float largest = 0;
    for (const float v : x) largest = std::max(largest, std::fabs(v));
    if (largest <= 127 * 1e-30f) continue;    // zero here, where the encoder still tries
    if (largest >= 127 * 65504.0f) continue;  // the scale saturates here
    ASSERT_EQ(std::memcmp(page.page().v_scales + 2 * 5, block, 2), 0);
    const auto* q = reinterpret_cast<const int8_t*>(page.page().v + 32 * 5);
    for (int i = 0; i < 32; ++i) {
      const auto at = static_cast<size_t>(i);
      const float scaled = x[at] * (1 / (largest / 127));
      const bool is_tie = std::fabs(scaled - std::trunc(scaled)) == 0.5f;
      if (!is_tie) {
        ASSERT_EQ(q[i], static_cast<int8_t>(block[2 + i])) << x[at];
      }
    }
  }
}

}  // namespace
}  // namespace slm::kernels
