// What the choice of guesses does on machines and texts of known behaviour.
#include "engine/speculator.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace slm::engine {
namespace {

using Cost = std::function<double(int64_t columns)>;

Cost Linear(double per_column) {
  return [=](int64_t columns) { return 1 + per_column * static_cast<double>(columns - 1); };
}

// Generates `tokens` tokens of which each has a match of `length`, the guess being right with
// `chance`; returns how much faster that was than one token at a time.
double Gain(Speculator* speculator, const Cost& cost, double chance, int64_t length,
            int tokens = 2000) {
  std::mt19937 rng(1);
  const auto is_right = [&] { return std::uniform_real_distribution<double>()(rng) < chance; };
  double seconds = 0;
  for (int done = 0; done < tokens;) {
    const int64_t tried = speculator->Choose(length, Speculator::kMost);
    EXPECT_LE(tried, Speculator::kMost);
    seconds += cost(tried + 1);
    speculator->OnStep(tried + 1, cost(tried + 1));
    ++done;
    for (int64_t i = 0; i <= tried; ++i) {
      const bool right = is_right();
      speculator->OnGuess(length + i, right);
      if (!right) break;
      if (i < tried) ++done;
    }
  }
  return static_cast<double>(tokens) / seconds;
}

TEST(Speculator, DoesNotTryBeforeAPlainStepWasMeasured) {
  Speculator speculator;
  EXPECT_EQ(speculator.Choose(32, 31), 0);
  speculator.OnStep(1, 1);
  EXPECT_GT(speculator.Choose(32, 31), 0);
  EXPECT_EQ(speculator.Choose(32, 2), 2);  // no more than there are
  EXPECT_EQ(speculator.Choose(32, 0), 0);
}

TEST(Speculator, GainsWhereGuessesAreRight) {
  Speculator cheap, dear;
  EXPECT_GT(Gain(&cheap, Linear(0.02), 0.97, 10), 8);
  EXPECT_GT(Gain(&dear, Linear(0.25), 0.97, 10), 2);
}

TEST(Speculator, LosesLittleWhereTheyAreWrong) {
  for (const double chance : {0.0, 0.1, 0.25})
    for (const double per_column : {0.05, 0.25, 0.5, 1.0})
      for (const int64_t length : {2, 5, 30}) {
        Speculator speculator;
        EXPECT_GT(Gain(&speculator, Linear(per_column), chance, length), 0.98)
            << chance << " right, a column costs " << per_column << ", matches of " << length;
      }
}

TEST(Speculator, NeverPaysWhereColumnsCostAsMuchAsSteps) {
  Speculator speculator;
  EXPECT_GT(Gain(&speculator, Linear(1), 1, 32), 0.98);
}

TEST(Speculator, FollowsATextThatChanges) {
  Speculator speculator;
  Gain(&speculator, Linear(0.2), 0.05, 6);
  EXPECT_GT(Gain(&speculator, Linear(0.2), 0.95, 6), 1.8);
  EXPECT_GT(Gain(&speculator, Linear(0.2), 0.05, 6), 0.97);
}

TEST(Speculator, FollowsAMachineThatChanges) {
  Speculator speculator;
  Gain(&speculator, Linear(1.2), 0.9, 6);
  EXPECT_GT(Gain(&speculator, Linear(0.1), 0.9, 6), 2);  // dear ones are measured again
  EXPECT_GT(Gain(&speculator, Linear(1.2), 0.9, 6), 0.9);
}

TEST(Speculator, OneDisturbedMeasurementIsNotTheEnd) {
  Speculator speculator;
  speculator.OnStep(1, 1);
  for (int64_t columns = 2; columns <= Speculator::kMost + 1; ++columns)
    speculator.OnStep(columns, 50);
  EXPECT_GT(Gain(&speculator, Linear(0.1), 0.95, 6), 2);
}

TEST(Speculator, FixedTriesWhatItIsTold) {
  Speculator speculator(5);
  EXPECT_EQ(speculator.Choose(2, 31), 5);
  EXPECT_EQ(speculator.Choose(2, 3), 3);
  EXPECT_EQ(Speculator(100).Choose(2, 100), Speculator::kMost);
}

}  // namespace
}  // namespace slm::engine
