#include "eval/kl_divergence.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace slm::eval {
namespace {

constexpr double kLeastLogProb = -16;  // of what counts: stored base files know nothing below
constexpr size_t kFewValues = 10;

int32_t TopOf(std::span<const float> values) {
  return static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

// The mean of f over the tokens, and of (f - its mean) (g - its mean) over n - 1: the square of the
// standard error when f is g.
template <class F>
double Mean(std::span<const TokenDivergence> tokens, const F& f) {
  double sum = 0;
  for (const TokenDivergence& token : tokens) sum += f(token);
  return sum / static_cast<double>(tokens.size());
}

template <class F, class G>
double CovarianceOfMeans(std::span<const TokenDivergence> tokens, const F& f, const G& g) {
  if (tokens.size() <= kFewValues) return 0;
  const double f_mean = Mean(tokens, f), g_mean = Mean(tokens, g);
  const auto product = [&](const TokenDivergence& token) {
    return (f(token) - f_mean) * (g(token) - g_mean);
  };
  return Mean(tokens, product) / static_cast<double>(tokens.size() - 1);
}

template <class F>
Estimate MeanAndError(std::span<const TokenDivergence> tokens, const F& f) {
  return {Mean(tokens, f), std::sqrt(CovarianceOfMeans(tokens, f, f))};
}

// Of a - b, or of ln(a / b), given the errors of both and their covariance.
double ErrorOfDifference(double a, double b, double covariance) {
  return std::sqrt(std::max(0.0, a * a + b * b - 2 * covariance));
}

template <class F>
std::vector<double> Ascending(std::span<const TokenDivergence> tokens, const F& f) {
  std::vector<double> values;
  values.reserve(tokens.size());
  for (const TokenDivergence& token : tokens) values.push_back(f(token));
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace

LogProbs Softmax(std::span<const float> logits) {
  LogProbs result = {logits, 0, TopOf(logits)};
  const auto max = static_cast<double>(logits[static_cast<size_t>(result.top)]);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - max);
  result.log_sum = max + std::log(sum);
  return result;
}

LogProbs StoredLogProbs(std::span<const float> values) { return {values, 0, TopOf(values)}; }

TokenDivergence Diverge(const LogProbs& base, const LogProbs& model, int32_t target) {
  SLM_CHECK(base.values.size() == model.values.size());
  const auto log_prob = [](const LogProbs& of, size_t i) {
    return static_cast<double>(of.values[i]) - of.log_sum;
  };
  TokenDivergence result;
  const auto next = static_cast<size_t>(target);
  result.loss = -log_prob(model, next);
  result.base_loss = -log_prob(base, next);
  result.delta_p = std::exp(-result.loss) - std::exp(-result.base_loss);
  result.is_same_top = base.top == model.top;
  result.is_right = model.top == target;
  result.is_base_right = base.top == target;
  for (size_t i = 0; i < base.values.size(); ++i) {
    const double of_base = log_prob(base, i);
    if (of_base > kLeastLogProb) result.kld += std::exp(of_base) * (of_base - log_prob(model, i));
  }
  return result;
}

Divergence Summarize(std::span<const TokenDivergence> tokens) {
  SLM_CHECK(!tokens.empty());
  using Token = const TokenDivergence&;
  const auto loss = [](Token t) { return t.loss; };
  const auto base_loss = [](Token t) { return t.base_loss; };
  const auto kld = [](Token t) { return t.kld; };
  const auto delta_p = [](Token t) { return t.delta_p; };

  Divergence d;
  d.tokens = static_cast<int64_t>(tokens.size());
  const Estimate mean_loss = MeanAndError(tokens, loss);
  const Estimate mean_base_loss = MeanAndError(tokens, base_loss);
  const double covariance = CovarianceOfMeans(tokens, loss, base_loss);
  const auto exp_of = [](Estimate ln) {
    const double value = std::exp(ln.value);
    return Estimate{value, value * ln.error};
  };
  d.ppl = exp_of(mean_loss);
  d.base_ppl = exp_of(mean_base_loss);
  d.ln_ppl_correlation = covariance / (mean_loss.error * mean_base_loss.error);
  d.ln_ppl_ratio = {mean_loss.value - mean_base_loss.value,
                    ErrorOfDifference(mean_loss.error, mean_base_loss.error, covariance)};
  d.ppl_ratio = exp_of(d.ln_ppl_ratio);
  d.ppl_difference = {d.ppl.value - d.base_ppl.value,
                      ErrorOfDifference(d.ppl.error, d.base_ppl.error,
                                        d.ppl.value * d.base_ppl.value * covariance)};
  d.kld = MeanAndError(tokens, kld);
  d.delta_p = MeanAndError(tokens, delta_p);
  const Estimate square = MeanAndError(tokens, [](Token t) { return t.delta_p * t.delta_p; });
  d.rms_delta_p.value = std::sqrt(square.value);
  if (square.value > 0) d.rms_delta_p.error = 0.5 / d.rms_delta_p.value * square.error;
  d.same_top.value = Mean(tokens, [](Token t) { return t.is_same_top ? 1.0 : 0.0; });
  if (tokens.size() > 1)
    d.same_top.error = std::sqrt(d.same_top.value * (1 - d.same_top.value) /
                                 static_cast<double>(tokens.size() - 1));
  d.klds = Ascending(tokens, kld);
  d.delta_ps = Ascending(tokens, delta_p);
  return d;
}

double Percentile(std::span<const double> ascending, double fraction) {
  const double place = fraction * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, ascending.size() - 1);
  const double share = place - static_cast<double>(below);
  return (1 - share) * ascending[below] + share * ascending[above];
}

}  // namespace slm::eval
