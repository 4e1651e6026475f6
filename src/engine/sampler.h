// From logits to a token. Pure: the same logits, history, seed and position give the same token.
// The steps and their order are llama.cpp's: logit bias, penalties, DRY, top-k, top-p, min-p,
// temperature, then the draw.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

namespace slm::engine {

struct SamplerOptions {
  float temperature = 0.8f;  // 0 or less: greedy, the lowest id among equals
  int top_k = 40;            // 0 or less: off
  float top_p = 0.95f;       // 1: off
  float min_p = 0.05f;       // 0: off
  uint64_t seed = 0;

  int penalty_last_n = 64;  // tokens that penalties look back on; -1: all, 0: none
  float repeat_penalty = 1.0f;
  float frequency_penalty = 0.0f;
  float presence_penalty = 0.0f;

  // DRY: a token that would prolong a repetition of n >= allowed_length tokens loses multiplier *
  // base^(n - allowed).
  float dry_multiplier = 0.0f;  // 0: off
  float dry_base = 1.75f;
  int dry_allowed_length = 2;
  int dry_penalty_last_n = -1;
  std::unordered_set<int32_t> dry_breakers;  // tokens that a repetition does not go across

  std::vector<std::pair<int32_t, float>> logit_bias;
};

// Throws Error kUsage, naming the option, for values that make no sense.
void CheckOptions(const SamplerOptions& options);

class Sampler {
 public:
  explicit Sampler(SamplerOptions options) : options_(std::move(options)) {}

  const SamplerOptions& options() const { return options_; }

  // `history`: every token before the one that is drawn; its length is the counter of the noise.
  int32_t Sample(std::span<const float> logits, std::span<const int32_t> history) const;

 private:
  SamplerOptions options_;
};

}  // namespace slm::engine
