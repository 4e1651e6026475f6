// The header of packed weights: what was written comes back, and nothing else is taken.
#include "format/packed_file.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace slm::format {
namespace {

PackedHeader Sample() {
  PackedHeader header;
  header.layout = "panels";
  header.layout_version = 3;
  header.sources = {{"/models/a-00001-of-00002.gguf", {1000, -5}},
                    {"/models/a-00002-of-00002.gguf", {2000, 6}}};
  header.source_hash = 0x0123456789abcdef;
  header.matrices = {{"blk.0.attn_q.weight", 0, 32, 64, quant::Type::kQ4_0, 4096, 2048},
                     {"blk.0.attn_qkv.weight", 16, 16, 256, quant::Type::kQ6_K, 8192, 3360}};
  header.file_bytes = 12288;
  return header;
}

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(PackedFile, ComesBack) {
  std::string bytes = WritePackedHeader(Sample());
  bytes += "panels";
  EXPECT_EQ(ReadPackedHeader("f", Bytes(bytes)), Sample());
}

TEST(PackedFile, EveryBitCounts) {
  const std::string good = WritePackedHeader(Sample());
  for (size_t i = 0; i < good.size(); ++i)
    for (const int bit : {0, 7}) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ 1 << bit);
      EXPECT_THROW(ReadPackedHeader("f", Bytes(bytes)), Error) << i;
    }
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_THROW(ReadPackedHeader("f", Bytes(good.substr(0, size))), Error) << size;
}

TEST(PackedFile, MatricesLieInsideTheFileAndBehindTheHeader) {
  const auto taken = [](const PackedHeader& header) {
    try {
      ReadPackedHeader("f", Bytes(WritePackedHeader(header)));
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadInput);
      return false;
    }
  };
  PackedHeader header = Sample();
  header.matrices[1].bytes = 4096;
  EXPECT_TRUE(taken(header));
  header.matrices[1].bytes = 4097;
  EXPECT_FALSE(taken(header));
  header.matrices[1].bytes = UINT64_MAX;
  EXPECT_FALSE(taken(header));
  header = Sample();
  header.matrices[0].offset = 100;
  EXPECT_FALSE(taken(header));
  header = Sample();
  header.sources.clear();
  EXPECT_FALSE(taken(header));
}

}  // namespace
}  // namespace slm::format
