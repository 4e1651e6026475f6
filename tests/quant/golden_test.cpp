// Decoding and encoding against tests/golden/quant.txt, bit for bit.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "quant/type.h"

namespace slm::quant {
namespace {

std::vector<uint8_t> FromHex(const std::string& text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::vector<float> FloatsFromHex(const std::string& text) {
  const std::vector<uint8_t> bytes = FromHex(text);
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), values.size() * 4);
  return values;
}

struct Row {
  std::string type, in, out;
};

std::vector<Row> Rows(const std::string& verb) {
  std::ifstream file("tests/golden/quant.txt");
  EXPECT_TRUE(file);
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string first;
    Row row;
    words >> first >> row.type >> row.in >> row.out;
    if (first == verb) rows.push_back(row);
  }
  return rows;
}

uint32_t Bits(float f) { return std::bit_cast<uint32_t>(f); }

TEST(Golden, DecodeIsBitEqual) {
  std::set<std::string> seen;
  for (const Row& row : Rows("decode")) {
    SCOPED_TRACE(row.type);
    const TypeTraits* traits = FindTypeByName(row.type);
    ASSERT_NE(traits, nullptr);
    seen.insert(row.type);
    const std::vector<uint8_t> blocks = FromHex(row.in);
    const std::vector<float> expected = FloatsFromHex(row.out);
    ASSERT_EQ(blocks.size() / traits->block_bytes * static_cast<size_t>(traits->block_size),
              expected.size());
    std::vector<float> values(expected.size());
    traits->decode(blocks.data(), values.data(), static_cast<int64_t>(values.size()));
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isnan(expected[i])) {
        EXPECT_TRUE(std::isnan(values[i])) << i;
      } else {
        EXPECT_EQ(Bits(values[i]), Bits(expected[i])) << i << ": " << values[i];
      }
    }
  }
  EXPECT_EQ(seen.size(), AllTypes().size());
}

TEST(Golden, EncodeIsByteEqual) {
  std::set<std::string> seen;
  for (const Row& row : Rows("encode")) {
    SCOPED_TRACE(row.type);
    const TypeTraits* traits = FindTypeByName(row.type);
    ASSERT_NE(traits, nullptr);
    ASSERT_NE(traits->encode, nullptr);
    seen.insert(row.type);
    const std::vector<float> values = FloatsFromHex(row.in);
    const std::vector<uint8_t> expected = FromHex(row.out);
    std::vector<uint8_t> blocks(expected.size());
    traits->encode(values.data(), blocks.data(), static_cast<int64_t>(values.size()));
    for (size_t i = 0; i < blocks.size(); ++i)
      EXPECT_EQ(int{blocks[i]}, int{expected[i]})
          << "block " << i / traits->block_bytes << " byte " << i % traits->block_bytes;
  }
  EXPECT_EQ(seen.size(), 8u);
}

}  // namespace
}  // namespace slm::quant
