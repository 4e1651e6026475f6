#include "engine/speculator.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace slm::engine {
namespace {

// The longest match of every class but the last.
constexpr int64_t kClassEnds[] = {2, 3, 4, 6, 8, 12, 16, 24};
// A class begins as if it had seen kPriorCount guesses, of which (class + 2) / (class + 4) were
// right; and its memory is of some kMemory guesses.
constexpr int64_t kPriorCount = 4;
constexpr int64_t kMemory = 16;
// What a further column costs as long as none was measured, in parts of the first: little, so that
// the first promising guesses are tried and measured.
constexpr double kUnknownColumn = 0.3;
// A measurement is forgotten after so many steps: the machine's load may have changed.
constexpr int64_t kCostMemory = 256;
// Speculation has to promise this much more than a plain step.
constexpr double kLeastGain = 1.03;

}  // namespace

size_t Speculator::ClassOf(int64_t length) {
  return static_cast<size_t>(
      std::lower_bound(std::begin(kClassEnds), std::end(kClassEnds), length) -
      std::begin(kClassEnds));
}

bool Speculator::IsKnown(int64_t columns) const {
  const Cost& cost = costs_[static_cast<size_t>(columns)];
  // Plain steps are rare where guesses are right, and what they cost is the measure of the others.
  return cost.step > 0 && (columns == 1 || step_ - cost.step < kCostMemory);
}

// Between measured ones on a line; after the last on the line from the first.
double Speculator::SecondsOf(int64_t columns) const {
  const auto seconds = [&](int64_t c) { return costs_[static_cast<size_t>(c)].seconds; };
  int64_t below = columns, above = columns;
  while (!IsKnown(below)) --below;
  if (below == columns) return seconds(columns);
  while (above <= kMost + 1 && !IsKnown(above)) ++above;
  const bool is_between = above <= kMost + 1;
  const double slope = is_between
                           ? (seconds(above) - seconds(below)) / static_cast<double>(above - below)
                       : below > 1 ? (seconds(below) - seconds(1)) / static_cast<double>(below - 1)
                                   : kUnknownColumn * seconds(1);
  return seconds(below) + std::max(slope, 0.0) * static_cast<double>(columns - below);
}

int64_t Speculator::Choose(int64_t length, int64_t available) const {
  const int64_t most = std::min(available, kMost);
  if (fixed_ >= 0) return std::min(fixed_, most);
  if (!IsKnown(1)) return 0;  // the measure of all others
  const double plain = 1 / SecondsOf(1);
  int64_t best = 0;
  double best_rate = kLeastGain * plain;
  double tokens = 1, chance = 1;  // expected in all; that all guesses so far are right
  for (int64_t k = 1; k <= most; ++k) {
    // A guess behind right ones has a match as much longer.
    const size_t c = ClassOf(length + k - 1);
    const Rate& rate = rates_[c];
    const double prior = static_cast<double>(c + 2) / static_cast<double>(c + 4);
    chance *= rate.count == 0 ? prior : rate.share;
    tokens += chance;
    const double tokens_per_second = tokens / SecondsOf(k + 1);
    if (tokens_per_second > best_rate) best = k, best_rate = tokens_per_second;
  }
  return best;
}

void Speculator::OnStep(int64_t columns, double seconds) {
  SLM_CHECK(columns >= 1 && columns <= kMost + 1);
  ++step_;
  Cost& cost = costs_[static_cast<size_t>(columns)];
  if (!IsKnown(columns)) {
    cost = {seconds, step_};
    return;
  }
  // What disturbs a measurement makes it longer: down at once, up slowly, and never far.
  const double change = std::min(seconds / cost.seconds, 2.0) - 1;
  const double factor = 1 + change * (change < 0 ? 0.5 : 0.125);
  // What changes one batch changes the others, more or less.
  if (columns > 1)
    for (size_t c = 2; c < costs_.size(); ++c)
      if (&costs_[c] != &cost) costs_[c].seconds *= (1 + factor) / 2;
  cost.seconds *= factor;
  cost.step = step_;
}

void Speculator::OnGuess(int64_t length, bool is_right) {
  const size_t c = ClassOf(length);
  Rate& rate = rates_[c];
  if (rate.count == 0) {
    rate.share = static_cast<double>(c + 2) / static_cast<double>(c + 4);
    rate.count = kPriorCount;
  }
  rate.count = std::min(rate.count + 1, kMemory);
  rate.share += ((is_right ? 1.0 : 0.0) - rate.share) / static_cast<double>(rate.count);
}

}  // namespace slm::engine
