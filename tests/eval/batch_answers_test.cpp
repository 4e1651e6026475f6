// Answers to many prompts at once, and the likelihood of given ones: as one by one.
#include "eval/batch_answers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/generate.h"
#include "eval/likeliest_answer.h"
#include "tiny/tiny_model.h"

namespace slm::eval {
namespace {

using testing::RandomIds;
class Answers : public ::testing::TestWithParam<std::string> {
 protected:
  Answers()
      : model_(engine::Model::Load(testing::WriteTinyModel({.arch = GetParam()}), &runtime_)) {}
  engine::SessionOptions Options() const {
    engine::SessionOptions options;
    options.context = 400;
    return options;
  }
  engine::Runtime runtime_{2};
  std::shared_ptr<const engine::Model> model_;
};

TEST_P(Answers, AreThoseOfOneByOne) {
  std::mt19937 rng(151);
  std::vector<std::vector<int32_t>> prompts;
  for (int i = 0; i < 9; ++i) prompts.push_back(RandomIds(1 + rng() % 250, rng));
  const std::vector<int32_t> stop = {7, 100, 200};
  engine::Executor executor(model_);
  BatchAnswersOptions options;
  options.session = Options();
  options.max_tokens = 20;
  options.stop = stop;
  options.at_once = 4;
  std::vector<std::vector<int32_t>> got(prompts.size());
  size_t count = 0;
  AnswerAll(model_, &executor, prompts, options, [&](size_t i, const std::vector<int32_t>& tokens) {
    got[i] = tokens;
    ++count;
  });
  EXPECT_EQ(count, prompts.size());
  engine::SamplerOptions greedy;
  greedy.temperature = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    engine::Session session(model_, Options());
    engine::GenerateOptions generate;
    generate.max_tokens = 20;
    generate.stop = stop;
    EXPECT_EQ(
        got[i],
        engine::Generate(&executor, &session, prompts[i], engine::Sampler(greedy), generate).tokens)
        << i;
  }
}

// log p of each answer, all computed to their end, each by itself.
std::vector<double> Scores(engine::Session session, engine::Executor* executor,
                           const std::vector<int32_t>& prompt,
                           const std::vector<std::vector<int32_t>>& answers) {
  std::vector<double> scores;
  for (const std::vector<int32_t>& answer : answers) {
    std::vector<int32_t> all = prompt;
    scores.push_back(0);
    for (const int32_t id : answer) {
      const std::span<const float> logits = executor->Extend(&session, all);
      double sum = 0;
      for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
      scores.back() += static_cast<double>(logits[static_cast<size_t>(id)]) - std::log(sum);
      all.push_back(id);
    }
  }
  return scores;
}

TEST_P(Answers, TheLikeliestOfMany) {
  std::mt19937 rng(152);
  engine::Executor executor(model_);
  engine::Session session(model_, Options());
  // The next prompt begins as the one before. Short answers are likelier; long ones take several
  // rounds, and a likely first token decides nothing.
  std::vector<int32_t> prompt = RandomIds(130, rng);
  for (const size_t shortest : {1, 3, 12, 30}) {
    std::vector<std::vector<int32_t>> answers;
    for (int i = 0; i < 30; ++i) answers.push_back(RandomIds(shortest + rng() % 4, rng));
    answers.push_back(answers[7]);
    const std::vector<double> scores =
        Scores(engine::Session(model_, Options()), &executor, prompt, answers);
    const auto best = std::max_element(scores.begin(), scores.end());
    const LikeliestAnswer likeliest = FindLikeliest(&executor, &session, prompt, answers);
    EXPECT_EQ(likeliest.index, static_cast<size_t>(best - scores.begin()));
    EXPECT_NEAR(likeliest.log_probability, *best, 1e-9 * std::fabs(*best));
    prompt.resize(100);
    prompt.push_back(3);
  }
}

// Answers that begin alike in several ways, one of which is all of another, and one there twice.
TEST_P(Answers, TheLikeliestOfATree) {
  std::mt19937 rng(153);
  engine::Executor executor(model_);
  engine::Session session(model_, Options());
  bool was_short = false, was_long = false;
  for (int turn = 0; turn < 12; ++turn) {
    const std::vector<int32_t> prompt = RandomIds(20, rng);
    std::vector<std::vector<int32_t>> answers;
    for (int trunk = 0; trunk < 3; ++trunk) {
      std::vector<int32_t> begin = RandomIds(1 + rng() % 5, rng);
      for (int branch = 0; branch < 3; ++branch) {
        for (const int32_t id : RandomIds(1 + rng() % 3, rng)) begin.push_back(id);
        for (int leaf = 0; leaf < 4; ++leaf) {
          answers.push_back(begin);
          for (const int32_t id : RandomIds(1 + rng() % 4, rng)) answers.back().push_back(id);
        }
      }
      answers.push_back(begin);  // what the last leaves begin with
    }
    // Now and then the likeliest is made so: it goes on as the model would.
    std::vector<int32_t> greedy = answers[turn % answers.size()];
    if (turn % 2 == 1) greedy.resize(1);
    std::vector<int32_t> all = prompt;
    all.insert(all.end(), greedy.begin(), greedy.end());
    for (int i = 0; i < 2; ++i) {
      const std::span<const float> logits = executor.Extend(&session, all);
      all.push_back(
          static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
      answers.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(prompt.size()), all.end());
    }
    std::shuffle(answers.begin(), answers.end(), rng);
    answers.push_back(answers[answers.size() / 2]);
    const std::vector<double> scores =
        Scores(engine::Session(model_, Options()), &executor, prompt, answers);
    const auto best =
        static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    const auto is_begin = [&](const std::vector<int32_t>& other) {
      return other.size() > answers[best].size() &&
             std::equal(answers[best].begin(), answers[best].end(), other.begin());
    };
    (std::any_of(answers.begin(), answers.end(), is_begin) ? was_short : was_long) = true;
    const LikeliestAnswer likeliest = FindLikeliest(&executor, &session, prompt, answers);
    EXPECT_EQ(likeliest.index, best);
    EXPECT_NEAR(likeliest.log_probability, scores[best], 1e-9 * std::fabs(scores[best]));
  }
  EXPECT_TRUE(was_short && was_long);
}

INSTANTIATE_TEST_SUITE_P(Families, Answers, ::testing::Values("llama", "gemma3"));

}  // namespace
}  // namespace slm::eval
