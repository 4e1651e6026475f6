// What counts as a loss of merging, and what is picked.
#include "eval/merge_choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace slm::eval {
namespace {

std::vector<ExampleScore> Examples(const std::vector<double>& losses, int64_t tokens = 1) {
  std::vector<ExampleScore> examples;
  for (const double loss : losses) {
    examples.emplace_back();
    examples.back().tokens = tokens;
    examples.back().loss = loss * static_cast<double>(tokens);
  }
  return examples;
}

TEST(ExampleScores, AreSumsOfTheirTokens) {
  TokenDivergence a, b;
  a.loss = 1, a.base_loss = 2, a.kld = 0.5, a.is_same_top = true;
  a.is_right = a.is_base_right = true;
  b.loss = 3, b.base_loss = 5, b.kld = 0.25, b.is_right = true;
  const TokenDivergence tokens[] = {a, b};
  const ExampleScore model = SumUp(tokens), base = SumUpBase(tokens);
  EXPECT_EQ(model.tokens, 2);
  EXPECT_EQ(model.loss, 4);
  EXPECT_EQ(model.kld, 0.75);
  EXPECT_EQ(model.same_top, 1);
  EXPECT_TRUE(model.is_right);
  EXPECT_EQ(base.loss, 7);
  EXPECT_EQ(base.kld, 0);
  EXPECT_EQ(base.same_top, 2);
  EXPECT_FALSE(base.is_right);  // one of both

  const ExampleScore examples[] = {model, base, SumUp({tokens, 1})};
  const MeanScore mean = Mean(examples);
  EXPECT_EQ(mean.tokens, 5);
  EXPECT_EQ(mean.loss, 12.0 / 5);
  EXPECT_EQ(mean.kld, 1.25 / 5);
  EXPECT_EQ(mean.same_top, 4.0 / 5);
  EXPECT_EQ(mean.right.right, 2);
  EXPECT_EQ(mean.right.n, 3);
}

// The error is that of means over drawn examples, of which each has tokens that go together.
TEST(LossDifferenceTest, HasTheErrorOfDrawnExamples) {
  std::mt19937 rng(5);
  std::normal_distribution<double> normal;
  const int trials = 400, size = 60;
  double squares = 0, mean = 0, error = 0;
  for (int trial = 0; trial < trials; ++trial) {
    std::vector<ExampleScore> a, b;
    for (int i = 0; i < size; ++i) {
      const auto tokens = static_cast<int64_t>(1 + rng() % 9);
      const double hardness = 5 * normal(rng), difference = 0.3 + 0.2 * normal(rng);
      ExampleScore one;
      one.tokens = tokens;
      one.loss = static_cast<double>(tokens) * hardness;
      b.push_back(one);
      one.loss += static_cast<double>(tokens) * difference;
      a.push_back(one);
    }
    const Estimate found = LossDifference(a, b);
    mean += found.value / trials;
    squares += (found.value - 0.3) * (found.value - 0.3) / trials;
    error += found.error / trials;
  }
  EXPECT_NEAR(mean, 0.3, 0.01);
  EXPECT_NEAR(error / std::sqrt(squares), 1, 0.1);
}

TEST(Judge, KeepsWhatTheAdapterBrought) {
  const std::vector<double> easy(40, 1.0), hard(40, 3.0);
  const auto alone = Examples(hard), standard = Examples(easy);
  const auto judge = [&](const std::vector<double>& losses) {
    return Judge(alone, standard, Examples(losses));
  };
  EXPECT_FALSE(judge(easy).has_regret);
  EXPECT_EQ(judge(easy).kept->value, 1);
  EXPECT_TRUE(judge(hard).has_regret);
  EXPECT_EQ(judge(hard).kept->value, 0);
  EXPECT_FALSE(judge(std::vector<double>(40, 1.03)).has_regret);
  EXPECT_TRUE(judge(std::vector<double>(40, 1.05)).has_regret);
  EXPECT_FALSE(judge(std::vector<double>(40, 0.5)).has_regret);
  // The same mean, but by chance.
  std::vector<double> uneven(40, 0.8);
  for (size_t i = 0; i < 20; ++i) uneven[i] = 1.26;
  EXPECT_NEAR(judge(uneven).kept->value, 0.985, 1e-9);
  EXPECT_NEAR(judge(uneven).kept->error, 0.23 * std::sqrt(1 / 39.0) / 2, 1e-9);
  EXPECT_TRUE(judge(uneven).has_regret);
}

TEST(Judge, CountsRightAnswers) {
  const auto alone = Examples(std::vector<double>(2000, 3.0));
  auto standard = Examples(std::vector<double>(2000, 1.0)), form = standard;
  const auto wrong = [](std::vector<ExampleScore>* of, size_t count) {
    for (size_t i = 0; i < of->size(); ++i) (*of)[i].is_right = i >= count;
  };
  wrong(&standard, 200);  // 90 %; by 95 % 88.6 to 91.2
  wrong(&form, 227);
  EXPECT_FALSE(Judge(alone, standard, form).has_regret);
  wrong(&form, 230);
  EXPECT_TRUE(Judge(alone, standard, form).has_regret);
  wrong(&standard, 0);  // 99.8 % at least, but a point is allowed
  wrong(&form, 20);
  EXPECT_FALSE(Judge(alone, standard, form).has_regret);
  wrong(&form, 21);
  EXPECT_TRUE(Judge(alone, standard, form).has_regret);
}

// Then only what is no worse is without regret.
TEST(Judge, AnAdapterThatBringsNothing) {
  const auto alone = Examples(std::vector<double>(40, 1.0)),
             standard = Examples(std::vector<double>(40, 1.5));
  const auto has_regret = [&](double loss) {
    return Judge(alone, standard, Examples(std::vector<double>(40, loss))).has_regret;
  };
  EXPECT_FALSE(Judge(alone, standard, standard).kept);
  EXPECT_FALSE(has_regret(1.5));
  EXPECT_FALSE(has_regret(1.4));
  EXPECT_TRUE(has_regret(1.51));
}

TEST(Choose, WithoutRegretThenFastThenSmallThenNear) {
  // bytes, decode, kld, has_regret
  const auto choose = [](const std::vector<Form>& forms) { return Choose(forms); };
  EXPECT_EQ(choose({{100, 50, 0, false}, {80, 60, 0.1, true}, {160, 54, 0.01, false}}), 0u);
  EXPECT_EQ(choose({{100, 50, 0, false}, {80, 60, 0.1, false}, {160, 54, 0.01, false}}), 1u);
  EXPECT_EQ(choose({{100, 50, 0, false}, {80, 60, 0.1, true}, {160, 56, 0.01, false}}), 2u);
  EXPECT_EQ(choose({{100, 50, 0, false}, {80000, 60, 0.1, false}, {80100, 58, 0.01, false}}), 2u);
  EXPECT_EQ(choose({{100, 0, 0, false}, {80, 0, 0.1, false}, {160, 0, 0.01, false}}), 1u);
  EXPECT_EQ(choose({{100, 0, 0, false}, {80, 0, 0.1, true}, {160, 0, 0.01, false}}), 0u);
}

}  // namespace
}  // namespace slm::eval
