#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace slm::model {
namespace {

// YaRN (arXiv 2309.00071): dimension i keeps its frequency where it turns fast, is interpolated
// where it turns slowly. Returns the share of the interpolated one.
double YarnRamp(const Hparams& h, int64_t i) {
  const double d = static_cast<double>(h.rope_dim), base = static_cast<double>(h.rope_base);
  const auto dimension_at = [&](double rotations) {
    const double context = static_cast<double>(h.original_context);
    return d * std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(base));
  };
  const double low = std::max(std::floor(dimension_at(static_cast<double>(h.yarn_beta_fast))), 0.0);
  double high = std::min(std::ceil(dimension_at(static_cast<double>(h.yarn_beta_slow))), d - 1);
  if (low == high) high += 0.001;
  return std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
}

}  // namespace

Rope::Rope(const Hparams& h, const Weights& weights, bool is_window_layer, int64_t context) {
  const bool is_local = is_window_layer && h.window_rope_base > 0;
  const double base = static_cast<double>(is_local ? h.window_rope_base : h.rope_base);
  const std::vector<float>* factors = &weights.rope_freqs;
  if (!weights.rope_factors_long.empty() && !weights.rope_factors_short.empty())
    factors = h.original_context > 0 && context > h.original_context ? &weights.rope_factors_long
                                                                     : &weights.rope_factors_short;
  if (!is_local) attn_factor_ = h.rope_attn_factor;
  for (int64_t i = 0; i < h.rope_dim / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(h.rope_dim);
    double frequency = static_cast<double>(static_cast<float>(1.0 / std::pow(base, exponent)));
    if (!is_local) {
      const double factor = static_cast<double>(h.rope_factor);
      if (!factors->empty()) frequency /= static_cast<double>((*factors)[static_cast<size_t>(i)]);
      if (h.rope_scaling == RopeScaling::kLinear) frequency /= factor;
      if (h.rope_scaling == RopeScaling::kYarn) {
        const double ramp = YarnRamp(h, i);
        frequency = frequency / factor * ramp + frequency * (1 - ramp);
      }
    }
    inverse_frequencies_.push_back(static_cast<float>(frequency));
  }
}

void Rope::Fill(int64_t first, int64_t count, float* cos, float* sin) const {
  for (int64_t t = 0; t < count; ++t)
    for (const float frequency : inverse_frequencies_) {
      const auto angle = static_cast<double>(static_cast<float>(first + t) * frequency);
      *cos++ = static_cast<float>(std::cos(angle) * static_cast<double>(attn_factor_));
      *sin++ = static_cast<float>(std::sin(angle) * static_cast<double>(attn_factor_));
    }
}

float QueryScale(const Hparams& hparams, int64_t position) {
  auto scale = static_cast<double>(hparams.query_scale);
  if (hparams.temperature_scale != 0)
    scale *= 1 + static_cast<double>(hparams.temperature_scale) *
                     std::log1p(static_cast<double>(position / hparams.original_context));
  return static_cast<float>(scale);
}

}  // namespace slm::model
