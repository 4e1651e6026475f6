#include "eval/base_logits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>

#include "base/error.h"
#include "eval/kl_divergence.h"
#include "support/blocks.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::eval {
namespace {

// A file by hand: 2 chunks of 6 tokens (2 scored), a vocabulary of 3.
class Bytes {
 public:
  template <class T>
  Bytes& Put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Bytes& Head(int32_t size = 6, int32_t vocab = 3, int32_t chunks = 2) {
    text_ += "_logits_";
    return Put(size).Put(vocab).Put(chunks);
  }
  Bytes& Ids(int32_t last = 2) {
    for (int32_t i = 0; i < 11; ++i) Put(i % 3);
    return Put(last);
  }
  Bytes& Row(float scale = 1.0f / 16384, float least = -4.5f) {
    Put(scale).Put(least);
    for (const int code : {65535, 0, 16384, 7}) Put(static_cast<uint16_t>(code));
    return *this;
  }
  std::string Whole() { return Head().Ids().Row().Row().Row().Row().text_; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::span<const uint8_t> Span(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string ErrorOf(const std::string& text) {
  try {
    const BaseLogits base = BaseLogits::Parse(Span(text));
    std::vector<float> row(static_cast<size_t>(base.vocab()));
    for (int64_t chunk = 0; chunk < base.chunks(); ++chunk)
      for (int64_t r = 0; r < 2; ++r) base.ReadRow(chunk, r, row);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kBadInput);
    return error.what();
  }
  return "";
}

TEST(BaseLogitsTest, ReadsTheFormat) {
  const std::string text = Bytes().Whole();
  const BaseLogits base = BaseLogits::Parse(Span(text));
  EXPECT_EQ(base.chunk_size(), 6);
  EXPECT_EQ(base.vocab(), 3);
  EXPECT_EQ(base.chunks(), 2);
  EXPECT_EQ(base.ids()[4], 1);
  std::vector<float> row(3);
  base.ReadRow(1, 1, row);
  EXPECT_FLOAT_EQ(row[0], 65535.0f / 16384 - 4.5f);
  EXPECT_FLOAT_EQ(row[1], -4.5f);
  EXPECT_FLOAT_EQ(row[2], -3.5f);
}

TEST(BaseLogitsTest, MalformedFiles) {
  const std::string whole = Bytes().Whole();
  EXPECT_EQ(ErrorOf(whole), "");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(ErrorOf(whole.substr(0, size)), "") << size;
  EXPECT_NE(ErrorOf(whole + "x"), "");
  EXPECT_NE(ErrorOf("_Logits_" + whole.substr(8)), "");
  const auto with_head = [&](int32_t size, int32_t vocab, int32_t chunks) {
    return Bytes().Head(size, vocab, chunks).text() + whole.substr(20);
  };
  EXPECT_EQ(ErrorOf(with_head(6, 3, 2)), "");
  for (const int32_t bad : {0, -1, INT32_MIN, INT32_MAX}) {
    EXPECT_NE(ErrorOf(with_head(bad, 3, 2)), "") << bad;
    EXPECT_NE(ErrorOf(with_head(6, bad, 2)), "") << bad;
    EXPECT_NE(ErrorOf(with_head(6, 3, bad)), "") << bad;
    EXPECT_NE(ErrorOf(with_head(bad, bad, bad)), "") << bad;
  }
  for (const int32_t id : {-1, 3, INT32_MAX}) {
    const std::string error = ErrorOf(Bytes().Head().Ids(id).Row().Row().Row().Row().text());
    EXPECT_NE(error.find("token id below 3"), std::string::npos) << error;
  }
  const float inf = INFINITY, nan = NAN;
  const std::pair<float, float> rows[] = {{nan, -1}, {-1, -1},  {inf, -1},    {1, -1},
                                          {0, nan},  {0, -inf}, {1e-5f, inf}, {1e38f, -1}};
  for (const auto& [scale, least] : rows) {
    const std::string error =
        ErrorOf(Bytes().Head().Ids().Row().Row().Row(scale, least).Row().text());
    EXPECT_NE(error.find("chunk 1, row 0"), std::string::npos) << scale << " " << least << error;
  }
}

TEST(BaseLogitsTest, WhatIsWrittenIsReadWithinHalfACode) {
  std::mt19937 rng(3);
  const std::vector<float> logits = testing::RandomFloats(301, rng, 8);
  const LogProbs exact = Softmax(logits);
  const std::vector<uint16_t> row = EncodeRow(logits);
  std::string text = Bytes().Head(4, 301, 1).Put(0).Put(1).Put(2).Put(3).text();
  text.append(reinterpret_cast<const char*>(row.data()), row.size() * sizeof(uint16_t));
  const BaseLogits base = BaseLogits::Parse(Span(text));
  std::vector<float> read(301);
  base.ReadRow(0, 0, read);
  const float top = logits[static_cast<size_t>(exact.top)];
  int cut = 0;
  for (size_t i = 0; i < read.size(); ++i) {
    // What is more than 16 below the greatest is stored as 16 below it.
    const double kept = std::max(logits[i], top - 16);
    cut += logits[i] < top - 16;
    EXPECT_NEAR(read[i], kept - exact.log_sum, 0.6 * 16 / 65535) << i;
  }
  EXPECT_GT(cut, 3);
  EXPECT_EQ(StoredLogProbs(read).top, exact.top);
}

TEST(BaseLogitsTest, LogitsThatAreAllEqual) {
  const std::vector<float> logits(5, 2.0f);
  const std::vector<uint16_t> row = EncodeRow(logits);
  float head[2];
  std::memcpy(head, row.data(), sizeof head);
  EXPECT_EQ(head[0], 0);
  EXPECT_FLOAT_EQ(head[1], -std::log(5.0f));
}

}  // namespace
}  // namespace slm::eval
