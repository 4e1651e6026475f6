// NF4 against bitsandbytes (CPU): codes, absmaxes, and what they decode to.
#include "quant/nf4.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "format/safetensors.h"
#include "support/data.h"
#include "support/floats.h"

namespace slm::quant {
namespace {

struct Truth {
  format::Safetensors file;
  nlohmann::json offsets;

  std::vector<float> Floats(const std::string& name) const {
    const format::SafetensorsTensor* tensor = file.Find(name);
    EXPECT_NE(tensor, nullptr) << name;
    std::vector<float> values(static_cast<size_t>(tensor->elements));
    tensor->type->decode(tensor->data.data(), values.data(), tensor->elements);
    return values;
  }
  std::vector<uint8_t> Bytes(const std::string& name) const {
    const format::SafetensorsTensor* tensor = file.Find(name);
    EXPECT_NE(tensor, nullptr) << name;
    return {tensor->data.begin(), tensor->data.end()};
  }
};

const char* const kTensors[] = {"normal_64x256", "small_33x65",    "odd_7x13",   "constant_4x64",
                                "zero_2x64",     "outlier_16x128", "big_512x512"};

class Nf4 : public ::testing::TestWithParam<const char*> {};

TEST_P(Nf4, IsThatOfBitsandbytes) {
  SLM_DATA_OR_SKIP(path, std::string("tiny/nf4.safetensors"));
  const std::string name = GetParam();
  const std::string bytes = testing::ReadFile(path);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  const auto header = nlohmann::json::parse(bytes.substr(8, header_bytes));
  const Truth truth = {
      format::Safetensors::Open(path),
      nlohmann::json::parse(header.at("__metadata__").at("offsets").get<std::string>())};

  const std::vector<float> x = truth.Floats(name + ".input");
  std::vector<float> absmax((x.size() + kNf4Block - 1) / kNf4Block), decoded(x.size());
  std::vector<uint8_t> codes((x.size() + 1) / 2);
  EncodeNf4(x, kNf4Block, codes.data(), absmax.data());
  std::vector<uint8_t> expected_codes = truth.Bytes(name + ".plain.codes");
  // Both known forms of a block of zeros.
  if (name == "zero_2x64" && expected_codes[0] == 0) std::fill(codes.begin(), codes.end(), 0);
  EXPECT_EQ(codes, expected_codes);
  EXPECT_TRUE(testing::SameBits(absmax, truth.Floats(name + ".plain.absmax")));
  DecodeNf4(expected_codes.data(), absmax.data(), kNf4Block, decoded);
  EXPECT_TRUE(testing::SameBits(decoded, truth.Floats(name + ".plain.dequantized")));

  const float offset = truth.offsets.at(name + ".nested").at("offset").get<float>();
  const NestedAbsmax nested = EncodeAbsmax(absmax, offset);
  EXPECT_TRUE(testing::SameBits(nested.scales, truth.Floats(name + ".nested.nested_absmax")));
  const std::vector<uint8_t> nested_codes = truth.Bytes(name + ".nested.absmax");
  ASSERT_EQ(nested.codes.size(), nested_codes.size());
  size_t ties = 0;
  for (size_t i = 0; i < nested_codes.size(); ++i) {
    const float scale = nested.scales[i / kNestedBlock];
    if (nested.codes[i] == nested_codes[i] || scale == 0) continue;
    // Near a tie bitsandbytes may take another: it looks values up in a table of 65,536 over [-1,
    // 1].
    ++ties;
    const float value = (absmax[i] - offset) / scale;
    const auto distance = [&](uint8_t code) { return std::fabs(value - DynamicMap()[code]); };
    EXPECT_LE(distance(nested_codes[i]), distance(nested.codes[i]) + 2.0f / 65535) << i;
  }
  RecordProperty("near_ties", static_cast<int>(ties));
  EXPECT_LE(ties, nested_codes.size() / 50) << name;

  std::vector<float> restored(absmax.size());
  DecodeAbsmax(nested_codes, nested.scales.data(), offset, DynamicMap(), restored);
  DecodeNf4(truth.Bytes(name + ".nested.codes").data(), restored.data(), kNf4Block, decoded);
  EXPECT_TRUE(testing::SameBits(decoded, truth.Floats(name + ".nested.dequantized")));
}

INSTANTIATE_TEST_SUITE_P(Tensors, Nf4, ::testing::ValuesIn(kTensors));

TEST(DynamicMap, IsTheOneOfBitsandbytes) {
  SLM_DATA_OR_SKIP(path, std::string("tiny/nf4.safetensors"));
  const Truth truth = {format::Safetensors::Open(path), {}};
  EXPECT_TRUE(testing::SameBits(DynamicMap(), truth.Floats("dynamic_map")));
  EXPECT_TRUE(testing::SameBits(kNf4Values, truth.Floats("nf4_map")));
}

TEST(Nf4Codes, TiesGoDown) {
  // Exactly between two values, and the next float above.
  const float limit = 0.6427869200706482f;
  const std::vector<float> x = {1.0f, limit, std::nextafter(limit, 1.0f)};
  uint8_t codes[2];
  float absmax;
  EncodeNf4(x, kNf4Block, codes, &absmax);
  EXPECT_EQ(codes[0], 15 << 4 | 13);
  EXPECT_EQ(codes[1], 14 << 4 | 7);
}

}  // namespace
}  // namespace slm::quant
