#include "train/gradient_sum.h"

#include <algorithm>

namespace slm::train {
namespace {

// inout = left + inout
void AddBefore(const float* left, std::span<float> inout) {
  for (size_t i = 0; i < inout.size(); ++i) inout[i] = left[i] + inout[i];
}

}  // namespace

std::vector<float>& GradientSum::Level(size_t level) {
  while (levels_.size() <= level) levels_.emplace_back(static_cast<size_t>(size_));
  return levels_[level];
}

void GradientSum::Add(int64_t index, int64_t at, std::span<float> values) {
  size_t level = 0;
  for (; index >> level & 1; ++level) AddBefore(&Level(level)[static_cast<size_t>(at)], values);
  std::copy(values.begin(), values.end(), Level(level).begin() + at);
}

std::span<float> GradientSum::Finish(int64_t count) {
  std::vector<float>* sum = nullptr;
  for (size_t level = 0; count >> level; ++level) {
    if (!(count >> level & 1)) continue;
    // Larger parts hold earlier samples.
    if (sum) AddBefore(Level(level).data(), *sum);
    if (!sum) sum = &Level(level);
  }
  return *sum;
}

}  // namespace slm::train
