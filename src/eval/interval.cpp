#include "eval/interval.h"

#include <algorithm>
#include <cmath>

namespace slm::eval {

Interval IntervalOf(const Score& score) {
  if (score.n == 0) return {};
  constexpr double z = 1.959963984540054;
  const auto n = static_cast<double>(score.n);
  const double share = score.share(), centre = share + z * z / (2 * n);
  const double half = z * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  const double scale = 1 / (1 + z * z / n);
  return {std::max(0.0, scale * (centre - half)), std::min(1.0, scale * (centre + half))};
}

}  // namespace slm::eval
