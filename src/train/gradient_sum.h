// Sums the gradients of a step's samples in a fixed binary tree by their index: neighbours first,
// then neighbouring pairs, and so on. The same samples give the same bits however they are grouped
// into batches, and whichever rank adds which.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "train/ranks.h"

namespace slm::train {

class GradientSum {
 public:
  // Of so many numbers.
  GradientSum(int64_t size, std::shared_ptr<Ranks> ranks) : size_(size), ranks_(std::move(ranks)) {}

  // Begins a sum over as many samples; owners[i] is the rank that adds sample i. They ascend from
  // 0, and are the same on all ranks.
  void Begin(std::vector<int> owners);

  // Number [at, at + n) of sample `index`: this rank's samples in ascending order, each number
  // once.
  void Add(int64_t index, int64_t at, std::span<float> values);

  // All ranks together, when each has added its samples. Rank 0 gets the sum, valid until the next
  // Begin, the others nothing.
  std::span<float> Finish();

  // Memory that rank 0 takes for the sum of as many samples of its own.
  uint64_t BytesFor(int64_t count) const;

 private:
  struct Part {
    int rank;              // that has it
    std::span<float> sum;  // there; elsewhere nothing
  };
  // The sum of samples [index << level, (index + 1) << level), as far as they exist.
  Part Collect(size_t level, int64_t index);
  // left += right, with messages between their ranks where these differ.
  void Add(const Part& left, const Part& right);
  std::vector<float>& Place(size_t level, int64_t index);

  int64_t size_;
  std::shared_ptr<Ranks> ranks_;
  std::vector<int> owners_;
  // By level and whether the index is odd: what waits for its neighbour. An odd one waits only for
  // what another rank has of it.
  std::vector<std::array<std::vector<float>, 2>> places_;
  std::vector<float> received_;
};

}  // namespace slm::train
