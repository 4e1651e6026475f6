#include "convert/llama3_rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace slm::convert {
namespace {

double Turns(double rope_base, int64_t rope_dim, size_t pair) {  // of a pair, in one position
  const double exponent = 2.0 * static_cast<double>(pair) / static_cast<double>(rope_dim);
  return std::pow(rope_base, -exponent) / (2 * std::numbers::pi);
}

// 1: the frequency is kept; 0: it is divided by the factor.
double ShareKept(double factor, double scale) {
  return (1 / scale - 1 / factor) / (1 - 1 / factor);
}

bool Gives(const Llama3Scaling& scaling, std::span<const float> factors, double rope_base,
           int64_t rope_dim) {
  if (!(scaling.original_context >= 1 && scaling.original_context < 1e9)) return false;
  const std::vector<float> made = Llama3Factors(scaling, rope_base, rope_dim);
  return std::equal(made.begin(), made.end(), factors.begin(), factors.end(),
                    [](float a, float b) { return std::abs(a - b) <= 2e-5f * b; });
}

}  // namespace

std::vector<float> Llama3Factors(const Llama3Scaling& s, double rope_base, int64_t rope_dim) {
  const auto factor = static_cast<float>(s.factor), low = static_cast<float>(s.low_freq_factor);
  std::vector<float> factors;
  for (int64_t i = 0; i < rope_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(rope_dim);
    const float frequency = 1.0f / std::pow(static_cast<float>(rope_base), exponent);
    const float wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
    if (wavelength < static_cast<float>(s.original_context / s.high_freq_factor)) {
      factors.push_back(1.0f);
    } else if (wavelength > static_cast<float>(s.original_context / s.low_freq_factor)) {
      factors.push_back(factor);
    } else {
      const float kept = (static_cast<float>(s.original_context) / wavelength - low) /
                         static_cast<float>(s.high_freq_factor - s.low_freq_factor);
      factors.push_back(1.0f / ((1.0f - kept) / factor + kept));
    }
  }
  return factors;
}

std::optional<Llama3Scaling> FindLlama3Scaling(std::span<const float> factors, double rope_base,
                                               int64_t rope_dim) {
  if (factors.empty() || factors.size() != static_cast<size_t>(rope_dim / 2)) return {};
  Llama3Scaling s;
  s.factor = static_cast<double>(*std::max_element(factors.begin(), factors.end()));
  if (!(s.factor > 1 && s.factor < 1e6)) return {};

  // Between the plateaus the share that is kept is a line over the turns: kept = slope * turns -
  // low / (high - low), where slope = original context / (high - low). Least squares.
  double n = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
  double most_interpolated = 0, least_kept = 1;  // turns, at the inner ends of the plateaus
  for (size_t i = 0; i < factors.size(); ++i) {
    const double x = Turns(rope_base, rope_dim, i);
    const double y = ShareKept(s.factor, static_cast<double>(factors[i]));
    if (y > 1 - 1e-6) {
      least_kept = std::min(least_kept, x);
    } else if (y < 1e-6) {
      most_interpolated = std::max(most_interpolated, x);
    } else {
      n += 1, sum_x += x, sum_y += y, sum_xx += x * x, sum_xy += x * y;
    }
  }
  const auto gives = [&] { return Gives(s, factors, rope_base, rope_dim); };
  if (n > 0) {
    // As published: low 1, high 4.
    s.original_context = std::round((3 * sum_y + n) / sum_x);
    if (gives()) return s;
  } else {
    // Anything that puts the plateaus where they are: the first power of two.
    s.original_context = std::exp2(std::ceil(std::log2(4 / least_kept)));
    if (s.original_context * most_interpolated <= 1 && gives()) return s;
  }
  if (n < 2) return {};
  const double slope = (n * sum_xy - sum_x * sum_y) / (n * sum_xx - sum_x * sum_x);
  const double ratio = (slope * sum_x - sum_y) / n;  // low / (high - low)
  s.high_freq_factor = 1 + 1 / ratio;
  s.original_context = slope / ratio;
  Llama3Scaling rounded = s;
  rounded.high_freq_factor = std::round(s.high_freq_factor);
  rounded.original_context = std::round(s.original_context);
  if (rounded.high_freq_factor > 1 && Gives(rounded, factors, rope_base, rope_dim)) return rounded;
  s.original_context = rounded.original_context;  // an integer in config.json
  if (s.high_freq_factor > 1 && gives()) return s;
  return {};
}

}  // namespace slm::convert
