#include "eval/merge_choice.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace slm::eval {
namespace {

constexpr double kZ = 1.959963984540054;  // of 95 %
constexpr double kPoint = 0.01;
constexpr double kAsFast = 0.9, kAsSmall = 1.01;

ExampleScore SumUp(std::span<const TokenDivergence> tokens, double TokenDivergence::*loss,
                   bool TokenDivergence::*is_right) {
  ExampleScore sum;
  for (const TokenDivergence& token : tokens) {
    ++sum.tokens;
    sum.loss += token.*loss;
    sum.is_right &= token.*is_right;
  }
  return sum;
}

}  // namespace

ExampleScore SumUp(std::span<const TokenDivergence> tokens) {
  ExampleScore sum = SumUp(tokens, &TokenDivergence::loss, &TokenDivergence::is_right);
  for (const TokenDivergence& token : tokens) {
    sum.kld += token.kld;
    sum.same_top += token.is_same_top;
  }
  return sum;
}

ExampleScore SumUpBase(std::span<const TokenDivergence> tokens) {
  ExampleScore sum = SumUp(tokens, &TokenDivergence::base_loss, &TokenDivergence::is_base_right);
  sum.same_top = sum.tokens;
  return sum;
}

MeanScore Mean(std::span<const ExampleScore> examples) {
  MeanScore mean;
  int64_t same_top = 0;
  for (const ExampleScore& example : examples) {
    mean.tokens += example.tokens;
    mean.loss += example.loss;
    mean.kld += example.kld;
    same_top += example.same_top;
    mean.right.right += example.is_right;
    ++mean.right.n;
  }
  const auto n = static_cast<double>(mean.tokens);
  mean.loss /= n;
  mean.kld /= n;
  mean.same_top = static_cast<double>(same_top) / n;
  return mean;
}

Estimate LossDifference(std::span<const ExampleScore> a, std::span<const ExampleScore> b) {
  SLM_CHECK(a.size() == b.size() && a.size() > 1);
  Estimate difference = {Mean(a).loss - Mean(b).loss, 0};
  double squares = 0, tokens = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto n = static_cast<double>(a[i].tokens);
    const double rest = a[i].loss - b[i].loss - n * difference.value;
    squares += rest * rest;
    tokens += n;
  }
  const auto examples = static_cast<double>(a.size());
  difference.error = std::sqrt(examples / (examples - 1) * squares) / tokens;
  return difference;
}

Verdict Judge(std::span<const ExampleScore> alone, std::span<const ExampleScore> standard,
              std::span<const ExampleScore> form) {
  const double gain = Mean(alone).loss - Mean(standard).loss;
  const Estimate lost = LossDifference(form, standard);
  const Score right = Mean(form).right, expected = Mean(standard).right;
  const double least = std::min(expected.share() - kPoint, IntervalOf(expected).low);
  Verdict verdict;
  if (gain > 0) verdict.kept = {1 - lost.value / gain, lost.error / gain};
  verdict.has_regret = lost.value + kZ * lost.error > std::max(0.0, gain) * (1 - kLeastKept) ||
                       right.share() < least;
  return verdict;
}

size_t Choose(std::span<const Form> forms) {
  std::vector<size_t> left;
  for (size_t i = 0; i < forms.size(); ++i)
    if (!forms[i].has_regret) left.push_back(i);
  SLM_CHECK(!left.empty());
  // Those whose figure is at most `most` times the least.
  const auto keep = [&](double most, const auto& figure) {
    double least = figure(forms[left[0]]);
    for (const size_t i : left) least = std::min(least, figure(forms[i]));
    std::erase_if(left, [&](size_t i) { return figure(forms[i]) > most * least; });
  };
  if (forms[left[0]].decode > 0)
    keep(1 / kAsFast, [](const Form& form) { return 1 / form.decode; });
  keep(kAsSmall, [](const Form& form) { return static_cast<double>(form.bytes); });
  keep(1, [](const Form& form) { return form.kld; });
  return left[0];
}

}  // namespace slm::eval
