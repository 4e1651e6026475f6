// What a model is trained on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace slm::train {

// labels[i] is what ids[i] counts as when it is predicted from those before it, or kIgnored. Both
// are equally long; the first label is never used. This is how transformers has them.
inline constexpr int32_t kIgnored = -100;
struct Sample {
  std::vector<int32_t> ids, labels;
  size_t line = 0;  // of the data; 0: unknown

  // Rows of the forward pass that the last label needs; 0 where nothing is trained.
  int64_t rows() const {
    auto n = static_cast<int64_t>(labels.size());
    while (n > 0 && labels[static_cast<size_t>(n - 1)] == kIgnored) --n;
    return n > 0 ? n - 1 : 0;
  }
  int64_t trained() const {
    int64_t count = 0;
    for (size_t i = 1; i < labels.size(); ++i) count += labels[i] != kIgnored;
    return count;
  }
};

}  // namespace slm::train
