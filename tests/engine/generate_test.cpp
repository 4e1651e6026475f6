// The loop of generation: where it ends, what it refuses, what it remembers.
#include "engine/generate.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tiny/tiny_model.h"

namespace slm::engine {
namespace {

class GenerateTest : public ::testing::Test {
 protected:
  static SamplerOptions GreedyOptions() {
    SamplerOptions options;
    options.temperature = 0;
    return options;
  }
  GenerateResult Run(const std::vector<int32_t>& prompt, const GenerateOptions& options) {
    return Generate(&executor_, &session_, prompt, sampler_, options);
  }

  Runtime runtime_{1};
  std::shared_ptr<const Model> model_ =
      Model::Load(testing::WriteTinyModel({.arch = "llama"}), &runtime_);
  Executor executor_{model_};
  Session session_{model_, {.context = 64}};
  Sampler sampler_{GreedyOptions()};
  const std::vector<int32_t> prompt_ = {3, 1, 4, 1, 5};
};

TEST_F(GenerateTest, EndsAtMaxTokens) {
  const GenerateResult r = Run(prompt_, {.max_tokens = 7});
  EXPECT_EQ(r.tokens.size(), 7u);
  EXPECT_EQ(r.reason, FinishReason::kLength);
  EXPECT_EQ(r.prompt_tokens, 5);
  EXPECT_EQ(r.cached_tokens, 0);
}

TEST_F(GenerateTest, EndsAtAStopTokenThatIsNoPartOfTheAnswer) {
  const std::vector<int32_t> free = Run(prompt_, {.max_tokens = 10}).tokens;
  const std::vector<int32_t> stop = {free[4]};
  const GenerateResult r = Run(prompt_, {.max_tokens = 10, .stop = stop});
  const auto first = std::find(free.begin(), free.end(), free[4]);
  EXPECT_EQ(r.tokens, std::vector<int32_t>(free.begin(), first));
  EXPECT_EQ(r.reason, FinishReason::kStop);
}

TEST_F(GenerateTest, EndsWhereTheContextIsFull) {
  const GenerateResult r = Run(prompt_, {});
  EXPECT_EQ(r.tokens.size(), 59u);
  EXPECT_EQ(r.reason, FinishReason::kLength);
}

TEST_F(GenerateTest, ZeroTokensAreAnAnswer) {
  const GenerateResult r = Run(prompt_, {.max_tokens = 0});
  EXPECT_TRUE(r.tokens.empty());
  EXPECT_EQ(r.reason, FinishReason::kLength);
}

TEST_F(GenerateTest, RefusesWhatDoesNotFitWithBothNumbers) {
  const auto message = [&](const std::vector<int32_t>& prompt, int64_t max_tokens) -> std::string {
    try {
      Run(prompt, {.max_tokens = max_tokens});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadInput);
      return error.what();
    }
    return "";
  };
  const std::string over = message(prompt_, 60);
  EXPECT_NE(over.find("5 tokens"), std::string::npos) << over;
  EXPECT_NE(over.find("60"), std::string::npos) << over;
  EXPECT_NE(over.find("64"), std::string::npos) << over;
  EXPECT_NE(message(std::vector<int32_t>(64, 1), -1).find("64"), std::string::npos);
  EXPECT_NE(message(std::vector<int32_t>(65, 1), 0).find("65"), std::string::npos);
  EXPECT_NE(message({}, 1).find("no tokens"), std::string::npos);
  EXPECT_EQ(message(prompt_, 59), "");  // exactly full is not too much
}

TEST_F(GenerateTest, CallbacksEndIt) {
  std::vector<int32_t> seen;
  GenerateOptions options;
  options.max_tokens = 20;
  options.on_token = [&](int32_t token) {
    seen.push_back(token);
    return seen.size() < 3;
  };
  const GenerateResult ended = Run(prompt_, options);
  EXPECT_EQ(ended.tokens, seen);
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_EQ(ended.reason, FinishReason::kStop);

  int64_t asked = 0;
  const GenerateResult cancelled =
      Run(prompt_, {.max_tokens = 20, .is_cancelled = [&] { return ++asked > 4; }});
  EXPECT_EQ(cancelled.reason, FinishReason::kCancelled);
  EXPECT_LT(cancelled.tokens.size(), 5u);
}

TEST_F(GenerateTest, ASecondTurnComputesOnlyWhatIsNew) {
  const GenerateResult first = Run(prompt_, {.max_tokens = 8});
  std::vector<int32_t> next = prompt_;
  next.insert(next.end(), first.tokens.begin(), first.tokens.end());
  next.insert(next.end(), {7, 8, 9});
  const GenerateResult second = Run(next, {.max_tokens = 8});
  EXPECT_GE(second.cached_tokens, 12);  // the last token of the answer was never computed
  Session fresh(model_, {.context = 64});
  const GenerateResult again = Generate(&executor_, &fresh, next, sampler_, {.max_tokens = 8});
  EXPECT_EQ(again.cached_tokens, 0);
  EXPECT_EQ(again.tokens, second.tokens);
  // The same request again: all but the last token is known.
  EXPECT_EQ(Run(next, {.max_tokens = 8}).cached_tokens, static_cast<int64_t>(next.size()) - 1);
}

}  // namespace
}  // namespace slm::engine
