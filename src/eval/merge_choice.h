// Whether a fine-tuned model lost something on its way into a file, from what each form of it gives
// to the answers of held-out examples, and which form to keep.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eval/interval.h"
#include "eval/kl_divergence.h"

namespace slm::eval {

// Of the tokens of one example that count.
struct ExampleScore {
  int64_t tokens = 0, same_top = 0;
  double loss = 0, kld = 0;  // sums, nats
  bool is_right = true;      // each is the most likely: what greedy decoding says
};
ExampleScore SumUp(std::span<const TokenDivergence> tokens);
ExampleScore SumUpBase(std::span<const TokenDivergence> tokens);

// Means over all tokens, and the share of examples that are right.
struct MeanScore {
  int64_t tokens = 0;
  double loss = 0, kld = 0, same_top = 0;
  Score right;
};
MeanScore Mean(std::span<const ExampleScore> examples);

// The mean over all tokens of a's loss minus b's on the same examples, and its standard error:
// tokens of one example go together, so the examples are what was drawn. At least two.
Estimate LossDifference(std::span<const ExampleScore> a, std::span<const ExampleScore> b);

// What a form has of that which the adapter brought, the fall of the loss from the base alone to
// the standard: the adapter beside the base.
struct Verdict {
  std::optional<Estimate> kept;  // 1: all. None where the adapter brought nothing
  bool has_regret = false;
};
// There is no regret when at least kLeastKept is kept, by the lower end of the 95 % interval, and
// right answers are at most a point fewer than the standard's, or within its 95 % interval. Where
// the adapter brought nothing, the loss must not be higher by the upper end of the interval.
inline constexpr double kLeastKept = 0.98;
Verdict Judge(std::span<const ExampleScore> alone, std::span<const ExampleScore> standard,
              std::span<const ExampleScore> form);

struct Form {
  uint64_t bytes = 0;  // of all that is served
  double decode = 0;   // tokens per second; 0 for all: not measured
  double kld = 0;
  bool has_regret = false;
};
// Of those without regret the fastest; of those that decode within a tenth of it the smallest; of
// those within a hundredth of its size that with the least divergence. One has none.
size_t Choose(std::span<const Form> forms);

}  // namespace slm::eval
