#include "quant/type.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace slm::quant {
namespace {

TEST(Type, LookupsAgree) {
  for (const TypeTraits& traits : AllTypes()) {
    const auto id = static_cast<uint32_t>(traits.type);
    EXPECT_EQ(FindType(id), &traits);
    EXPECT_EQ(&Traits(traits.type), &traits);
    EXPECT_STREQ(GgmlTypeName(id), traits.name);
    EXPECT_EQ(FindTypeByName(traits.name), &traits);
    EXPECT_NE(traits.decode, nullptr);
  }
  EXPECT_EQ(AllTypes().size(), 15u);
}

TEST(Type, NamesInAnyCase) {
  ASSERT_NE(FindTypeByName("q4_k"), nullptr);
  EXPECT_EQ(FindTypeByName("q4_k")->type, Type::kQ4_K);
  EXPECT_EQ(FindTypeByName("iq4_Nl")->type, Type::kIQ4_NL);
  for (const char* name : {"", "q4", "Q4_KM", "IQ2_XXS", "Q4_K "})
    EXPECT_EQ(FindTypeByName(name), nullptr) << name;
}

TEST(Type, UnsupportedIdsHaveNames) {
  const std::pair<uint32_t, const char*> expected[] = {
      {4, "Q4_2"},   {9, "Q8_1"},        {15, "Q8_K"},  {16, "IQ2_XXS"}, {22, "IQ2_S"},
      {24, "I8"},    {26, "I32"},        {28, "F64"},   {29, "IQ1_M"},   {31, "Q4_0_4_4"},
      {34, "TQ1_0"}, {36, "IQ4_NL_4_4"}, {39, "MXFP4"}, {40, "NVFP4"},   {42, "Q2_0"}};
  for (const auto& [id, name] : expected) {
    EXPECT_EQ(FindType(id), nullptr);
    EXPECT_STREQ(GgmlTypeName(id), name);
  }
  EXPECT_EQ(GgmlTypeName(43), nullptr);
  EXPECT_EQ(GgmlTypeName(0xffffffffu), nullptr);
  EXPECT_EQ(FindType(0xffffffffu), nullptr);
}

TEST(Type, DecodesUnalignedBlocks) {
  for (const TypeTraits& traits : AllTypes()) {
    std::vector<uint8_t> bytes(2 * traits.block_bytes + 1);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37 % 64);
    const std::vector<uint8_t> aligned(bytes.begin() + 1, bytes.end());
    const int64_t n = 2 * traits.block_size;
    std::vector<float> a(static_cast<size_t>(n)), b(static_cast<size_t>(n));
    traits.decode(aligned.data(), a.data(), n);
    traits.decode(bytes.data() + 1, b.data(), n);
    EXPECT_EQ(a, b) << traits.name;
  }
}

TEST(Type, NothingToDo) {
  for (const TypeTraits& traits : AllTypes()) {
    traits.decode(nullptr, nullptr, 0);
    if (traits.encode) traits.encode(nullptr, nullptr, 0);
  }
}

// Values in [-1, 1]: half a step between levels (a whole one at the far end of the symmetric
// types), and what rounding d and m to halves adds.
TEST(Type, EncodeThenDecodeStaysWithinHalfAStep) {
  const float halves = 0x1p-9f;
  const std::pair<Type, float> bounds[] = {{Type::kF32, 0.0f},
                                           {Type::kF16, 0x1p-12f},
                                           {Type::kBF16, 0x1p-9f},
                                           {Type::kQ8_0, 0.5f / 127 + halves},
                                           {Type::kQ5_1, 1.0f / 31 + halves},
                                           {Type::kQ5_0, 1.0f / 16 + halves},
                                           {Type::kQ4_1, 1.0f / 15 + halves},
                                           {Type::kQ4_0, 1.0f / 8 + halves}};
  std::vector<float> x(32 * 64);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i * i % 9973));
  for (const auto& [type, bound] : bounds) {
    const TypeTraits& traits = Traits(type);
    std::vector<uint8_t> blocks(x.size() / static_cast<size_t>(traits.block_size) *
                                traits.block_bytes);
    std::vector<float> y(x.size());
    traits.encode(x.data(), blocks.data(), static_cast<int64_t>(x.size()));
    traits.decode(blocks.data(), y.data(), static_cast<int64_t>(y.size()));
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_LE(std::fabs(x[i] - y[i]), bound) << traits.name << " at " << i;
  }
}

// Run under the undefined-behaviour sanitizer, this is the test that no cast overflows.
TEST(Type, EncodesWhatIsNotFinite) {
  const float inf = std::numeric_limits<float>::infinity();
  const float worst[] = {inf, -inf, std::nanf(""), 0x1p-149f, -0x1p-149f, 0x1p127f, -0x1p127f};
  for (const TypeTraits& traits : AllTypes()) {
    if (!traits.encode) continue;
    for (const float a : worst) {
      for (const float b : worst) {
        std::vector<float> x(32, a);
        x[5] = b;
        std::vector<uint8_t> first(32 * 4), second(32 * 4);
        traits.encode(x.data(), first.data(), 32);
        traits.encode(x.data(), second.data(), 32);
        EXPECT_EQ(first, second);
        traits.decode(first.data(), x.data(), 32);
      }
    }
  }
}

}  // namespace
}  // namespace slm::quant
