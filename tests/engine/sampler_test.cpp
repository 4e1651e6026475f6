// The sampler against what its options say, and against slow, obvious versions of the same.
#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "base/error.h"

namespace slm::engine {
namespace {

// Everything off: the distribution is the softmax of the logits.
SamplerOptions Plain() {
  SamplerOptions o;
  o.temperature = 1;
  o.top_k = 0;
  o.top_p = 1;
  o.min_p = 0;
  return o;
}

SamplerOptions Greedy() {
  SamplerOptions o = Plain();
  o.temperature = 0;
  return o;
}

std::map<int32_t, double> Frequencies(SamplerOptions options, const std::vector<float>& logits,
                                      int draws = 20000) {
  std::map<int32_t, double> frequencies;
  for (int i = 0; i < draws; ++i) {
    options.seed = static_cast<uint64_t>(i);
    frequencies[Sampler(options).Sample(logits, {})] += 1.0 / draws;
  }
  return frequencies;
}

std::set<int32_t> Support(const SamplerOptions& options, const std::vector<float>& logits) {
  std::set<int32_t> ids;
  for (const auto& [id, frequency] : Frequencies(options, logits, 4000)) ids.insert(id);
  return ids;
}

// Logits of given probabilities.
std::vector<float> Logs(std::initializer_list<double> probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

TEST(Sampler, GreedyTakesTheBestAndTheLowestIdAmongEquals) {
  const Sampler sampler(Greedy());
  EXPECT_EQ(sampler.Sample(std::vector<float>{1, 3, 2}, {}), 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{1, 3, 3, 3}, {}), 1);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(sampler.Sample(std::vector<float>{nan, -5, nan}, {}), 1);
  EXPECT_THROW(sampler.Sample(std::vector<float>{nan, nan}, {}), Error);
}

TEST(Sampler, DrawsFromTheSoftmax) {
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    SamplerOptions o = Plain();
    o.temperature = temperature;
    const std::vector<double> p = {0.5, 0.2, 0.2, 0.1};
    double total = 0;
    for (const double x : p) total += std::pow(x, 1 / static_cast<double>(temperature));
    const auto seen = Frequencies(o, Logs({0.5, 0.2, 0.2, 0.1}));
    for (size_t i = 0; i < p.size(); ++i) {
      const double expected = std::pow(p[i], 1 / static_cast<double>(temperature)) / total;
      EXPECT_NEAR(seen.at(static_cast<int32_t>(i)), expected, 0.015) << temperature;
    }
  }
}

TEST(Sampler, TheNoiseIsAFunctionOfSeedAndPosition) {
  const std::vector<float> logits(1000, 0.0f);
  SamplerOptions o = Plain();
  o.seed = 7;
  const std::vector<int32_t> history(20, 1);
  std::set<int32_t> at_positions, of_seeds;
  for (size_t n = 0; n < 20; ++n) {
    const std::span<const int32_t> past = std::span(history).first(n);
    const int32_t id = Sampler(o).Sample(logits, past);
    EXPECT_EQ(Sampler(o).Sample(logits, past), id);
    at_positions.insert(id);
  }
  for (o.seed = 0; o.seed < 20; ++o.seed) of_seeds.insert(Sampler(o).Sample(logits, {}));
  EXPECT_GT(at_positions.size(), 15u);
  EXPECT_GT(of_seeds.size(), 15u);
}

TEST(Sampler, FiltersKeepWhatTheyShould) {
  const std::vector<float> logits = Logs({0.1, 0.5, 0.2, 0.15, 0.05});
  SamplerOptions o = Plain();
  o.top_k = 2;
  EXPECT_EQ(Support(o, logits), (std::set<int32_t>{1, 2}));
  o = Plain();
  o.top_p = 0.71f;  // 0.5 + 0.2 is not enough
  EXPECT_EQ(Support(o, logits), (std::set<int32_t>{1, 2, 3}));
  o.top_p = 0.69f;
  EXPECT_EQ(Support(o, logits), (std::set<int32_t>{1, 2}));
  o.top_p = 0;
  EXPECT_EQ(Support(o, logits), (std::set<int32_t>{1}));
  o = Plain();
  o.min_p = 0.25f;  // of the best: 0.125
  EXPECT_EQ(Support(o, logits), (std::set<int32_t>{1, 2, 3}));
  o.min_p = 1;
  EXPECT_EQ(Support(o, logits), (std::set<int32_t>{1}));
}

// llama.cpp's order: top-p sees what top-k left, and the temperature comes last.
TEST(Sampler, FiltersComeBeforeTheTemperature) {
  const std::vector<float> logits = Logs({0.4, 0.3, 0.2, 0.1});
  SamplerOptions o = Plain();
  o.top_k = 2;
  o.top_p = 0.56f;  // 0.4 of the 0.7 that are left is 0.571
  EXPECT_EQ(Support(o, logits), (std::set<int32_t>{0}));
  o = Plain();
  o.temperature = 100;
  o.min_p = 0.6f;
  EXPECT_EQ(Support(o, logits), (std::set<int32_t>{0, 1}));
}

TEST(Sampler, PenaltiesAsTheirFormulas) {
  std::mt19937 rng(1);
  std::normal_distribution<float> normal(0, 3);
  for (int round = 0; round < 300; ++round) {
    SamplerOptions o = Greedy();
    o.penalty_last_n = static_cast<int>(rng() % 20) - 1;
    o.repeat_penalty = round % 3 ? 1.7f : 1.0f;
    o.frequency_penalty = round % 2 ? 0.6f : 0.0f;
    o.presence_penalty = round % 5 ? 0.9f : 0.0f;
    std::vector<float> logits(8);
    for (float& x : logits) x = normal(rng);
    std::vector<int32_t> history(rng() % 24);
    for (int32_t& id : history) id = static_cast<int32_t>(rng() % logits.size());

    std::vector<float> expected = logits;
    for (int32_t id = 0; id < 8; ++id) {
      int count = 0;
      for (size_t i = 0; i < history.size(); ++i)
        if (o.penalty_last_n < 0 || history.size() - i <= static_cast<size_t>(o.penalty_last_n))
          count += history[i] == id;
      if (count == 0) continue;
      float& x = expected[static_cast<size_t>(id)];
      x = x <= 0 ? x * o.repeat_penalty : x / o.repeat_penalty;
      x -= static_cast<float>(count) * o.frequency_penalty + o.presence_penalty;
    }
    const auto best = std::max_element(expected.begin(), expected.end()) - expected.begin();
    EXPECT_EQ(Sampler(o).Sample(logits, history), best) << "round " << round;
  }
}

// How many tokens at the end of `history`, before a token `id` is added, stand before an earlier
// `id` too; breakers end a match.
size_t RepetitionBefore(const std::vector<int32_t>& history, int32_t id,
                        const std::unordered_set<int32_t>& breakers) {
  size_t longest = 0;
  for (size_t at = 1; at < history.size(); ++at) {
    if (history[at] != id) continue;
    size_t n = 0;
    while (n < at && history[at - 1 - n] == history[history.size() - 1 - n] &&
           !breakers.contains(history[at - 1 - n]))
      ++n;
    longest = std::max(longest, n);
  }
  return longest;
}

TEST(Sampler, DryAsItsDefinition) {
  std::mt19937 rng(2);
  for (int round = 0; round < 500; ++round) {
    SamplerOptions o = Greedy();
    o.dry_multiplier = 0.8f;
    o.dry_allowed_length = static_cast<int>(rng() % 4) + 1;
    if (round % 2) o.dry_breakers = {0};
    std::vector<float> logits(4);
    for (float& x : logits) x = static_cast<float>(rng() % 100) / 40;
    std::vector<int32_t> history(rng() % 40);
    for (int32_t& id : history) id = static_cast<int32_t>(rng() % (round % 3 ? 3 : 2));

    std::vector<double> expected(logits.begin(), logits.end());
    for (int32_t id = 0; id < 4; ++id) {
      const auto length = static_cast<int>(RepetitionBefore(history, id, o.dry_breakers));
      if (length >= o.dry_allowed_length)
        expected[static_cast<size_t>(id)] -=
            static_cast<double>(o.dry_multiplier) *
            std::pow(static_cast<double>(o.dry_base), length - o.dry_allowed_length);
    }
    const auto best = std::max_element(expected.begin(), expected.end()) - expected.begin();
    EXPECT_EQ(Sampler(o).Sample(logits, history), best) << "round " << round;
  }
}

TEST(Sampler, LogitBias) {
  SamplerOptions o = Greedy();
  o.logit_bias = {{2, 10.0f}, {-1, 5.0f}, {99, 5.0f}};  // ids outside change nothing
  EXPECT_EQ(Sampler(o).Sample(std::vector<float>{1, 2, 0}, {}), 2);
  o.logit_bias = {{1, -std::numeric_limits<float>::infinity()}};
  EXPECT_EQ(Sampler(o).Sample(std::vector<float>{1, 2, 0}, {}), 0);
}

TEST(Sampler, OptionsThatMakeNoSenseAreNamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::pair<const char*, std::function<void(SamplerOptions*)>>> cases = {
      {"temperature", [&](SamplerOptions* o) { o->temperature = nan; }},
      {"top_p", [&](SamplerOptions* o) { o->top_p = -0.1f; }},
      {"top_p", [&](SamplerOptions* o) { o->top_p = 1.5f; }},
      {"top_p", [&](SamplerOptions* o) { o->top_p = nan; }},
      {"min_p", [&](SamplerOptions* o) { o->min_p = -0.1f; }},
      {"repeat_last_n", [&](SamplerOptions* o) { o->penalty_last_n = -2; }},
      {"repeat_penalty", [&](SamplerOptions* o) { o->repeat_penalty = 0; }},
      {"frequency_penalty", [&](SamplerOptions* o) { o->frequency_penalty = nan; }},
      {"presence_penalty", [&](SamplerOptions* o) { o->presence_penalty = nan; }},
      {"dry_multiplier", [&](SamplerOptions* o) { o->dry_multiplier = -1; }},
      {"dry_base", [&](SamplerOptions* o) { o->dry_base = 0.5f; }},
      {"dry_allowed_length", [&](SamplerOptions* o) { o->dry_allowed_length = -1; }},
      {"logit_bias",
       [&](SamplerOptions* o) {
         o->logit_bias = {{1, nan}};
       }},
      {"dry_penalty_last_n", [&](SamplerOptions* o) { o->dry_penalty_last_n = -2; }},
  };
  EXPECT_NO_THROW(CheckOptions(SamplerOptions()));
  for (const auto& [name, change] : cases) {
    SamplerOptions o;
    change(&o);
    try {
      CheckOptions(o);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUsage);
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace slm::engine
