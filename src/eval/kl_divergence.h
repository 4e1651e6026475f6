// How far the next-token distributions of a model are from those of a base, with the definitions of
// llama.cpp's `llama-perplexity --kl-divergence` (its tools/perplexity), see docs/quality.md. Pure
// functions of logits; sums are in double.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace slm::eval {

// The distribution over the vocabulary at one position: ln p(i) = values[i] - log_sum.
struct LogProbs {
  std::span<const float> values;  // [V]
  double log_sum = 0;
  int32_t top = 0;  // the most likely; the first of them
};

// The softmax of logits.
LogProbs Softmax(std::span<const float> logits);
// Values that are ln p already.
LogProbs StoredLogProbs(std::span<const float> values);

struct TokenDivergence {
  double loss = 0, base_loss = 0;  // -ln p of the token that follows
  double kld = 0;                  // sum of p_base (ln p_base - ln p) where ln p_base > -16
  double delta_p = 0;              // p - p_base of the token that follows
  bool is_same_top = false;
  bool is_right = false, is_base_right = false;  // the token that follows is the most likely
};

// Of one position. Not finite where the logits are not.
TokenDivergence Diverge(const LogProbs& base, const LogProbs& model, int32_t target);

struct Estimate {
  double value = 0;
  double error = 0;  // standard error; 0 for means of 10 values or fewer
};

// Over all positions. "Base" is without the letter Q that llama.cpp prints for the other one.
struct Divergence {
  int64_t tokens = 0;
  Estimate ppl, base_ppl;
  double ln_ppl_correlation = 0;  // NaN where one of the two does not vary
  Estimate ln_ppl_ratio, ppl_ratio, ppl_difference;
  Estimate kld, delta_p, rms_delta_p;
  Estimate same_top;                   // a share
  std::vector<double> klds, delta_ps;  // ascending
};

// `tokens` is not empty and finite.
Divergence Summarize(std::span<const TokenDivergence> tokens);

// Linear between the two values next to `fraction` of the way, 0 to 1.
double Percentile(std::span<const double> ascending, double fraction);

}  // namespace slm::eval
