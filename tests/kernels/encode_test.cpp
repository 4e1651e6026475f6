// Encoders: the same bytes from every table.
#include <gtest/gtest.h>

#include <cmath>

#include "support/floats.h"
#include "support/tables.h"

namespace slm::kernels {
namespace {

using testing::Values;

std::vector<uint8_t> Encode(const KernelTable& table, const quant::TypeTraits& type,
                            const std::vector<float>& x, const float* importance) {
  std::vector<uint8_t> bytes(x.size() / static_cast<size_t>(type.block_size) * type.block_bytes);
  table.encode[static_cast<int>(type.type)](x.data(), importance, bytes.data(),
                                            static_cast<int64_t>(x.size()));
  return bytes;
}

TEST(Encode, TheSpecificationIsThatOfQuant) {
  for (const quant::TypeTraits& type : quant::AllTypes())
    for (const KernelTable* table : {&testing::Ref(), &testing::Scalar()})
      EXPECT_EQ(table->encode[static_cast<int>(type.type)], type.encode_weighted) << type.name;
}

TEST(Encode, FastTablesMatchTheSpecificationBitForBit) {
  std::mt19937 rng(31);
  for (const quant::TypeTraits& type : quant::AllTypes())
    for (const Values values : testing::kAllValues) {
      std::vector<float> x = MakeFloats(values, 3 * 256, rng);
      for (size_t i = 256; i < 512 && values != Values::kNormal; ++i)  // a block of few magnitudes
        x[i] = std::ldexp(std::sin(static_cast<float>(i)), static_cast<int>(rng() % 8));
      std::vector<float> importance = MakeFloats(values, x.size(), rng);
      for (float& w : importance) w = w * w;
      const float* const choices[] = {nullptr, importance.data()};
      for (const float* weights : choices) {
        const std::vector<uint8_t> expected = Encode(testing::Scalar(), type, x, weights);
        for (const KernelTable* table : testing::FastTables())
          ASSERT_EQ(Encode(*table, type, x, weights), expected)
              << table->isa << " " << type.name << " " << NameOf(values);
      }
    }
}

}  // namespace
}  // namespace slm::kernels
