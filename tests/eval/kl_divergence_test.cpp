// The statistics against NumPy's (bench/peers/check_kl.py).
#include "eval/kl_divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "eval/base_logits.h"
#include "support/data.h"

namespace slm::eval {
namespace {

using nlohmann::json;

std::vector<float> Logits(const json& in_128ths) {
  std::vector<float> logits;
  for (const int value : in_128ths) logits.push_back(static_cast<float>(value) / 128);
  return logits;
}

const json& Golden() {
  static const json golden = json::parse(testing::ReadFile("tests/golden/kl_divergence.json"));
  return golden;
}

void ExpectClose(double got, const json& expected, const std::string& what) {
  const auto value = expected.get<double>();
  EXPECT_NEAR(got, value, 5e-7 * std::fabs(value) + 1e-15) << what;
}

TEST(KlDivergenceTest, AgreesWithNumpyToSixDigits) {
  const json& golden = Golden();
  const std::vector<float> base = Logits(golden["base"]), model = Logits(golden["model"]);
  const std::vector<int32_t> targets = golden["targets"];
  const auto vocab = golden["vocab"].get<size_t>();
  std::vector<TokenDivergence> tokens;
  for (size_t row = 0; row < targets.size(); ++row) {
    const auto of = [&](const std::vector<float>& logits) {
      return Softmax(std::span(logits).subspan(row * vocab, vocab));
    };
    tokens.push_back(Diverge(of(base), of(model), targets[row]));
  }
  const Divergence d = Summarize(tokens);
  const json& expected = golden["statistics"];
  EXPECT_EQ(d.tokens, expected["tokens"].get<int64_t>());
  const auto check = [&](const std::string& key, const Estimate& got) {
    ExpectClose(got.value, expected[key], key);
    ExpectClose(got.error, expected[key + "_stderr"], key + "_stderr");
  };
  check("ppl", d.ppl);
  check("base_ppl", d.base_ppl);
  check("ppl_ratio", d.ppl_ratio);
  check("ln_ppl_ratio", d.ln_ppl_ratio);
  check("ppl_difference", d.ppl_difference);
  check("mean_kld", d.kld);
  check("mean_delta_p", d.delta_p);
  check("rms_delta_p", d.rms_delta_p);
  check("same_top", d.same_top);
  ExpectClose(d.ln_ppl_correlation, expected["ln_ppl_correlation"], "correlation");
  const std::pair<const char*, double> quantiles[] = {
      {"max", 1},    {"p99_9", 0.999}, {"p99", 0.99}, {"p95", 0.95}, {"p90", 0.9},
      {"p75", 0.75}, {"median", 0.5},  {"p25", 0.25}, {"p10", 0.1},  {"p5", 0.05},
      {"p1", 0.01},  {"p0_1", 0.001},  {"min", 0}};
  for (const auto& [name, fraction] : quantiles) {
    ExpectClose(Percentile(d.klds, fraction), expected["kld"][name], name);
    ExpectClose(Percentile(d.delta_ps, fraction), expected["delta_p"][name], name);
  }
}

TEST(KlDivergenceTest, RowsOfTheBaseFileAreNumpys) {
  const json& golden = Golden();
  std::vector<float> logits = Logits(golden["base"]);
  logits.resize(golden["vocab"].get<size_t>());
  const std::vector<uint16_t> row = EncodeRow(logits), expected = golden["row0"];
  ASSERT_EQ(row.size(), expected.size());
  for (size_t i = 4; i < row.size(); ++i) EXPECT_NEAR(row[i], expected[i], 1) << i;
  float got[2], want[2];
  std::memcpy(got, row.data(), sizeof got);
  std::memcpy(want, expected.data(), sizeof want);
  EXPECT_FLOAT_EQ(got[0], want[0]);
  EXPECT_FLOAT_EQ(got[1], want[1]);
}

TEST(KlDivergenceTest, AModelIsItself) {
  const std::vector<float> logits = {1, 3, -2, 3, 0};
  const LogProbs of_one = Softmax(logits);
  EXPECT_EQ(of_one.top, 1);  // the first of the equal
  std::vector<TokenDivergence> tokens(8, Diverge(of_one, of_one, 2));
  const Divergence d = Summarize(tokens);
  EXPECT_EQ(d.kld.value, 0);
  EXPECT_EQ(d.ln_ppl_ratio.value, 0);
  EXPECT_EQ(d.rms_delta_p.value, 0);
  EXPECT_EQ(d.rms_delta_p.error, 0);
  EXPECT_EQ(d.same_top.value, 1);
  EXPECT_TRUE(std::isnan(d.ln_ppl_correlation));
  EXPECT_NEAR(d.ppl.value, 1 / (std::exp(-2) / (2 * std::exp(3) + std::exp(1) + 1 + std::exp(-2))),
              1e-9 * d.ppl.value);
}

TEST(KlDivergenceTest, BelowTheCutNothingCounts) {
  const std::vector<float> base = {0, -15.9f, -16.1f}, same = {0, -15.9f, 0};
  const TokenDivergence t = Diverge(StoredLogProbs(base), StoredLogProbs(same), 0);
  EXPECT_EQ(t.kld, 0);
}

}  // namespace
}  // namespace slm::eval
