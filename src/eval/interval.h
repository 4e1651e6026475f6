// How sure a share of right answers is.
#pragma once

#include <cstdint>

namespace slm::eval {

struct Score {
  int64_t right = 0, n = 0;
  double share() const { return n > 0 ? static_cast<double>(right) / static_cast<double>(n) : 0; }
};

struct Interval {
  double low = 0, high = 1;
};

// 95 %, by Wilson (1927), which also holds for few answers and for shares near 0 and 1.
Interval IntervalOf(const Score& score);

}  // namespace slm::eval
