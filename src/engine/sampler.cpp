#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "base/random.h"

namespace slm::engine {
namespace {

struct Candidate {
  int32_t id;
  double logit;
};

bool IsBetter(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

std::span<const int32_t> Last(std::span<const int32_t> history, int n) {
  return n < 0 ? history : history.last(std::min(history.size(), static_cast<size_t>(n)));
}

void ApplyPenalties(const SamplerOptions& o, std::span<const int32_t> history,
                    std::vector<Candidate>* candidates) {
  if (o.repeat_penalty == 1.0f && o.frequency_penalty == 0.0f && o.presence_penalty == 0.0f) return;
  std::unordered_map<int32_t, int> counts;
  for (const int32_t id : Last(history, o.penalty_last_n)) ++counts[id];
  for (const auto& [id, count] : counts) {
    double& logit = (*candidates)[static_cast<size_t>(id)].logit;
    const auto repeat = static_cast<double>(o.repeat_penalty);
    logit = logit <= 0 ? logit * repeat : logit / repeat;
    logit -=
        count * static_cast<double>(o.frequency_penalty) + static_cast<double>(o.presence_penalty);
  }
}

// The lengths of repetitions that each token would prolong, by the Z function of the reversed
// history: z[i] is how many tokens before position i equal the end of the history.
void ApplyDry(const SamplerOptions& o, std::span<const int32_t> history,
              std::vector<Candidate>* candidates) {
  if (o.dry_multiplier == 0.0f) return;
  const std::span<const int32_t> recent = Last(history, o.dry_penalty_last_n);
  // Nothing is matched across a breaker: only what follows the last one can be repeated.
  size_t most = 0;
  while (most < recent.size() && !o.dry_breakers.contains(recent[recent.size() - 1 - most])) ++most;
  const size_t n = recent.size();
  const auto from_end = [&](size_t i) { return recent[n - 1 - i]; };
  std::vector<size_t> z(n);
  std::unordered_map<int32_t, size_t> longest;
  for (size_t i = 1, left = 0, right = 0; i < n; ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < n && from_end(z[i]) == from_end(i + z[i])) ++z[i];
    if (i + z[i] > right) left = i, right = i + z[i];
    const size_t length = std::min(z[i], most);
    size_t& best = longest[from_end(i - 1)];  // the token that followed the repetition
    best = std::max(best, length);
  }
  for (const auto& [id, length] : longest) {
    const auto allowed = static_cast<size_t>(o.dry_allowed_length);
    if (length < allowed || length == 0) continue;
    const double power = std::min(static_cast<double>(length - allowed), 500.0);
    (*candidates)[static_cast<size_t>(id)].logit -=
        static_cast<double>(o.dry_multiplier) * std::pow(static_cast<double>(o.dry_base), power);
  }
}

// Candidates are sorted, best first, from here on; each filter keeps at least one.
void KeepTopP(double top_p, std::vector<Candidate>* candidates) {
  if (top_p >= 1) return;
  const double best = candidates->front().logit;
  double total = 0, sum = 0;
  for (const Candidate& c : *candidates) total += std::exp(c.logit - best);
  size_t keep = 0;
  while (keep < candidates->size() && (keep == 0 || sum < top_p * total))
    sum += std::exp((*candidates)[keep++].logit - best);
  candidates->resize(keep);
}

void KeepMinP(double min_p, std::vector<Candidate>* candidates) {
  if (min_p <= 0) return;
  const double least = candidates->front().logit + std::log(min_p);
  size_t keep = 1;
  while (keep < candidates->size() && (*candidates)[keep].logit >= least) ++keep;
  candidates->resize(keep);
}

}  // namespace

void CheckOptions(const SamplerOptions& o) {
  const auto require = [](bool is_good, const char* name, const char* what) {
    if (!is_good) throw Error(Code::kUsage, "{} must be {}", name, what);
  };
  require(std::isfinite(o.temperature), "temperature", "a finite number");
  require(o.top_p >= 0 && o.top_p <= 1, "top_p", "between 0 and 1");
  require(o.min_p >= 0 && o.min_p <= 1, "min_p", "between 0 and 1");
  require(o.penalty_last_n >= -1, "repeat_last_n", "-1 or more");
  require(std::isfinite(o.repeat_penalty) && o.repeat_penalty > 0, "repeat_penalty", "above 0");
  require(std::isfinite(o.frequency_penalty), "frequency_penalty", "a finite number");
  require(std::isfinite(o.presence_penalty), "presence_penalty", "a finite number");
  require(std::isfinite(o.dry_multiplier) && o.dry_multiplier >= 0, "dry_multiplier", "0 or more");
  require(std::isfinite(o.dry_base) && o.dry_base >= 1, "dry_base", "1 or more");
  require(o.dry_allowed_length >= 0, "dry_allowed_length", "0 or more");
  require(o.dry_penalty_last_n >= -1, "dry_penalty_last_n", "-1 or more");
  for (const auto& [id, bias] : o.logit_bias)
    require(bias < INFINITY, "logit_bias", "a finite number or -inf");  // false for NaN
}

int32_t Sampler::Sample(std::span<const float> logits, std::span<const int32_t> history) const {
  std::vector<Candidate> candidates(logits.size());
  size_t numbers = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    // A broken model may give NaN: it never wins.
    const auto logit = static_cast<double>(logits[i]);
    candidates[i] = {static_cast<int32_t>(i), std::isnan(logit) ? -INFINITY : logit};
    numbers += std::isnan(logit) ? 0 : 1;
  }
  if (numbers == 0)
    throw Error(Code::kBadInput, "none of the model's logits is a number: its file is damaged");
  for (const auto& [id, bias] : options_.logit_bias)
    if (id >= 0 && static_cast<size_t>(id) < candidates.size())
      candidates[static_cast<size_t>(id)].logit += static_cast<double>(bias);
  ApplyPenalties(options_, history, &candidates);
  ApplyDry(options_, history, &candidates);
  if (options_.temperature <= 0)
    return std::min_element(candidates.begin(), candidates.end(), IsBetter)->id;

  const size_t keep = options_.top_k <= 0
                          ? candidates.size()
                          : std::min(candidates.size(), static_cast<size_t>(options_.top_k));
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(keep),
                    candidates.end(), IsBetter);
  candidates.resize(keep);
  KeepTopP(static_cast<double>(options_.top_p), &candidates);
  KeepMinP(static_cast<double>(options_.min_p), &candidates);

  const double best = candidates.front().logit;
  const double inverse = 1 / static_cast<double>(options_.temperature);
  std::vector<double> cumulative;
  double total = 0;
  for (const Candidate& c : candidates)
    cumulative.push_back(total += std::exp((c.logit - best) * inverse));
  const double at = RandomUniform(options_.seed, history.size()) * total;
  const auto chosen =
      std::upper_bound(cumulative.begin(), cumulative.end(), at) - cumulative.begin();
  return candidates[std::min(static_cast<size_t>(chosen), candidates.size() - 1)].id;
}

}  // namespace slm::engine
