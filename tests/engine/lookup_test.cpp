// Prompt lookup changes nothing but time: generation with it is compared, token by token and with
// what the session holds afterwards, with generation without.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/generate.h"
#include "tiny/tiny_model.h"

namespace slm::engine {
namespace {

using Tokens = std::vector<int32_t>;

// Repeats itself, with changes.
Tokens RepetitivePrompt(size_t n, int64_t vocab, uint32_t seed) {
  std::mt19937 rng(seed);
  Tokens ids(n);
  for (size_t i = 0; i < n; ++i)
    ids[i] = i >= 11 && rng() % 16 != 0
                 ? ids[i - 11]
                 : static_cast<int32_t>(rng() % static_cast<uint32_t>(vocab));
  return ids;
}

// Few tokens come, so that many guesses are right and many are not.
SamplerOptions Greedy() {
  SamplerOptions o;
  o.temperature = 0;
  o.logit_bias = {{1, 100.0f}, {2, 100.0f}, {3, 100.0f}, {4, 99.0f}};
  return o;
}

SamplerOptions Drawn() {
  SamplerOptions o = Greedy();
  o.temperature = 0.7f;
  o.seed = 7;
  return o;
}

SamplerOptions Penalized() {
  SamplerOptions o = Drawn();
  o.repeat_penalty = 1.05f;
  o.frequency_penalty = 0.01f;
  o.dry_multiplier = 0.1f;
  return o;
}

struct Outcome {
  GenerateResult result;
  Tokens streamed;
  Tokens held;               // by the session
  std::vector<float> after;  // logits of the session, continued by a token
};

class Bench {
 public:
  Bench(const std::string& path, int64_t context)
      : model_(Model::Load(path, &runtime_)), context_(context) {}

  int64_t vocab() const { return model_->hparams().vocab; }

  Outcome Run(const Tokens& prompt, const SamplerOptions& sampler, GenerateOptions options,
              Speculator* speculator) {
    Outcome o;
    Session session(model_, {context_, kernels::KvType::kF16, kernels::KvType::kF16});
    options.speculator = speculator;
    const auto on_token = options.on_token;
    options.on_token = [&](int32_t token) {
      o.streamed.push_back(token);
      return !on_token || on_token(token);
    };
    o.result = Generate(&executor_, &session, prompt, Sampler(sampler), options);
    o.held = session.tokens();
    drafted_ += o.result.drafted_tokens;
    accepted_ += o.result.accepted_tokens;
    Tokens next = o.held;
    next.push_back(1);
    if (static_cast<int64_t>(next.size()) > context_) return o;
    const std::span<const float> logits = executor_.Extend(&session, next);
    o.after.assign(logits.begin(), logits.end());
    return o;
  }

  // With as many guesses at once as there may be, a few, and those that seem to pay.
  void ExpectSame(const Tokens& prompt, const SamplerOptions& sampler,
                  const GenerateOptions& options = {}) {
    const Outcome plain = Run(prompt, sampler, options, nullptr);
    EXPECT_EQ(plain.result.drafted_tokens, 0);
    for (const int64_t fixed : {int64_t{1}, int64_t{4}, Speculator::kMost, int64_t{-1}}) {
      Speculator speculator = fixed < 0 ? Speculator() : Speculator(fixed);
      const Outcome o = Run(prompt, sampler, options, &speculator);
      EXPECT_EQ(o.result.tokens, plain.result.tokens) << fixed;
      EXPECT_EQ(o.result.reason, plain.result.reason) << fixed;
      EXPECT_EQ(o.streamed, plain.streamed) << fixed;
      EXPECT_EQ(o.held, plain.held) << fixed;
      ASSERT_EQ(o.after.size(), plain.after.size()) << fixed;
      EXPECT_EQ(std::memcmp(o.after.data(), plain.after.data(), 4 * o.after.size()), 0) << fixed;
    }
  }

  int64_t drafted_ = 0, accepted_ = 0;  // of all runs

 private:
  Runtime runtime_{2};
  std::shared_ptr<const Model> model_;
  int64_t context_;
  Executor executor_{model_};
};

class LookupFamilies : public ::testing::TestWithParam<const char*> {};

TEST_P(LookupFamilies, SameTokens) {
  Bench bench("tests/golden/families/" + std::string(GetParam()) + ".gguf", 256);
  const Tokens prompt = RepetitivePrompt(90, bench.vocab(), 1);
  for (const SamplerOptions& sampler : {Greedy(), Drawn(), Penalized()})
    bench.ExpectSame(prompt, sampler, {.max_tokens = 60});
  EXPECT_GT(bench.accepted_, 0);
  EXPECT_LT(bench.accepted_, bench.drafted_);
}

INSTANTIATE_TEST_SUITE_P(Families, LookupFamilies,
                         ::testing::Values("llama", "mistral", "qwen2", "qwen3", "phi4", "phi4mini",
                                           "gemma2", "gemma2_27b", "gemma3", "ministral3"),
                         [](const auto& test) { return std::string(test.param); });

class Lookup : public ::testing::TestWithParam<quant::Type> {
 protected:
  Bench bench_{testing::WriteTinyModel({.arch = "gemma3", .type = GetParam()}), 1024};
};

// Pages behind the window are given up, and guesses that were wrong are cut back across pages.
TEST_P(Lookup, BehindAWindow) {
  const Tokens prompt = RepetitivePrompt(800, bench_.vocab(), 2);
  for (const SamplerOptions& sampler : {Greedy(), Drawn(), Penalized()})
    bench_.ExpectSame(prompt, sampler, {.max_tokens = 80});
  EXPECT_GT(bench_.accepted_, 0);
  EXPECT_LT(bench_.accepted_, bench_.drafted_);
}

// Every place where an answer may end, so that all ends inside guesses are among them.
TEST_P(Lookup, EndsAnywhere) {
  const Tokens prompt = RepetitivePrompt(70, bench_.vocab(), 3);
  const Tokens free = bench_.Run(prompt, Greedy(), {.max_tokens = 40}, nullptr).result.tokens;
  for (int64_t n = 1; n <= 40; ++n) bench_.ExpectSame(prompt, Greedy(), {.max_tokens = n});
  Tokens seen;
  for (const int32_t token : free) {
    if (std::find(seen.begin(), seen.end(), token) != seen.end()) continue;
    seen.push_back(token);
    const Tokens stop = {token};
    bench_.ExpectSame(prompt, Greedy(), {.max_tokens = 40, .stop = stop});
  }
  for (size_t n = 1; n <= 40; n += 3) {
    size_t count = 0;
    GenerateOptions options;
    options.max_tokens = 40;
    options.on_token = [&](int32_t) { return ++count % n != 0; };
    bench_.ExpectSame(prompt, Greedy(), options);
  }
}

TEST_P(Lookup, EndsWhereTheContextIsFull) {
  for (const size_t room : {1, 2, 3, 20, 40})
    bench_.ExpectSame(RepetitivePrompt(1024 - room, bench_.vocab(), 4), Greedy());
  EXPECT_GT(bench_.accepted_, 0);
}

// Asked before every token, also of guesses: no token comes after the answer was unwanted.
TEST_P(Lookup, Cancels) {
  const Tokens prompt = RepetitivePrompt(70, bench_.vocab(), 3);
  const Tokens free = bench_.Run(prompt, Greedy(), {.max_tokens = 40}, nullptr).result.tokens;
  for (size_t n = 1; n < 40; ++n) {
    Speculator speculator(8);
    size_t count = 0;
    GenerateOptions options;
    options.max_tokens = 40;
    options.on_token = [&](int32_t) { return ++count, true; };
    options.is_cancelled = [&] { return count == n; };
    const Outcome o = bench_.Run(prompt, Greedy(), options, &speculator);
    EXPECT_EQ(o.result.reason, FinishReason::kCancelled);
    EXPECT_EQ(o.result.tokens, Tokens(free.begin(), free.begin() + static_cast<int64_t>(n)));
    EXPECT_EQ(o.held.size(), prompt.size() + n - 1);  // the last token is not computed yet
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Lookup, ::testing::Values(quant::Type::kF32, quant::Type::kQ4_1),
                         [](const auto& test) { return quant::Traits(test.param).name; });

}  // namespace
}  // namespace slm::engine
