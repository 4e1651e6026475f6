// How many guessed tokens to check at once: as many as make the most tokens a second, by what the
// checks have cost on this machine with this model, and by how often guesses have been right.
// Timing decides only how tokens are computed, never which: one column and many give the same bits
// (docs/arithmetic.md), and every token is sampled from its own logits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace slm::engine {

class Speculator {
 public:
  static constexpr int64_t kMost = 31;  // guesses at once: with the known token a batch of 32

  // Chooses by itself.
  Speculator() = default;
  // Tries `fixed` guesses, at most kMost, wherever there are any.
  explicit Speculator(int64_t fixed) : fixed_(fixed) {}

  // Of `available` guesses that follow a match of `length` tokens.
  int64_t Choose(int64_t length, int64_t available) const;

  // A forward pass over `columns` tokens took so long.
  void OnStep(int64_t columns, double seconds);
  // The token after a match of `length` tokens was as guessed, or not. Guesses need not have been
  // tried to be judged, so text that does not repeat teaches at no cost.
  void OnGuess(int64_t length, bool is_right);

 private:
  static constexpr int kClasses = 9;  // of lengths

  struct Cost {
    double seconds = 0;
    int64_t step = 0;  // of the last measurement; 0: none
  };
  struct Rate {
    double share = 0;  // of right guesses
    int64_t count = 0;
  };

  static size_t ClassOf(int64_t length);
  bool IsKnown(int64_t columns) const;
  double SecondsOf(int64_t columns) const;

  int64_t fixed_ = -1;
  int64_t step_ = 0;
  std::array<Cost, kMost + 2> costs_;  // by columns
  std::array<Rate, kClasses> rates_;
};

}  // namespace slm::engine
