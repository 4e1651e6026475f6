// Which of the types that a tensor could have it gets, so that all together stay within a budget
// and lose as little as possible.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/type.h"

namespace slm::compress {

struct TypeOption {
  quant::Type type = quant::Type::kF32;
  uint64_t bytes = 0;
  double cost = 0;  // what it is expected to lose; costs of tensors add up
};

struct TypeSearchResult {
  std::vector<size_t> chosen;  // the option of every tensor
  uint64_t bytes = 0;
  double cost = 0;
};

// Upgrades from the smallest options, each time what saves most cost for its bytes among the
// options on the lower convex hull of a tensor: the best there is for every size that it passes
// through (Everett 1963, generalized Lagrange multipliers). Each stops before what it may not
// exceed: `max_bytes`, or as soon as `max_cost` is met. Every tensor has an option at least. The
// result may be above the limit when even the smallest, or best, options are.
TypeSearchResult ChooseWithinBytes(std::span<const std::vector<TypeOption>> tensors,
                                   uint64_t max_bytes);
TypeSearchResult ChooseWithinCost(std::span<const std::vector<TypeOption>> tensors,
                                  double max_cost);

}  // namespace slm::compress
