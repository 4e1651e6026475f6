// Sums the gradients of a step's samples in a fixed binary tree by their index: neighbours first,
// then neighbouring pairs, and so on. The same samples give the same bits however they are grouped
// into batches, and wherever a part of the tree is summed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace slm::train {

class GradientSum {
 public:
  // Of so many numbers.
  explicit GradientSum(int64_t size) : size_(size) {}

  // Number [at, at + n) of sample `index`: samples in ascending order from 0, each number once.
  // What is given is lost.
  void Add(int64_t index, int64_t at, std::span<float> values);

  // The sum over samples [0, count), count > 0; valid until the next Add.
  std::span<float> Finish(int64_t count);

 private:
  // Level l holds the sum of 2^l samples where bit l of their number is set.
  std::vector<float>& Level(size_t level);

  int64_t size_;
  std::vector<std::vector<float>> levels_;
};

}  // namespace slm::train
