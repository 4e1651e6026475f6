#include "eval/cross_entropy.h"

#include <algorithm>
#include <cmath>

namespace slm::eval {

double CrossEntropy(std::span<const float> logits, int32_t target) {
  const double max = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - max);
  return std::log(sum) + max - static_cast<double>(logits[static_cast<size_t>(target)]);
}

}  // namespace slm::eval
