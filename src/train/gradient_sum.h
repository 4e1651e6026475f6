// Sums the gradients of a step's samples in a fixed binary tree by their index: neighbours first,
// then neighbouring pairs, and so on. The same samples give the same bits however they are grouped
// into batches, and whichever rank adds which.
#pragma once

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

  // Numbers [at, at + n) of sample `index`, which may be changed: this rank's samples in ascending
  // order, each number once.
  void Add(int64_t index, int64_t at, std::span<float> values);
  // Where the numbers of sample `index` from `at` on can be made to be added without a copy: what
  // stands there is lost. nullptr where they will be added to those of its neighbour at once.
  float* Find(int64_t index, int64_t at);

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
  bool IsMine(int64_t sample) const {
    return owners_[static_cast<size_t>(sample)] == ranks_->rank();
  }
  // Of the sum of samples [index << level, (index + 1) << level).
  std::vector<float>& Place(size_t level, int64_t index);

  int64_t size_;
  std::shared_ptr<Ranks> ranks_;
  std::vector<int> owners_;
  // What waits for its neighbour. A sum is where its first half was; so those with an even index,
  // each within the neighbour that the last one waits for, are told apart by how many bits of it
  // are set. An odd one waits only for what another rank has: by level.
  std::vector<std::vector<float>> even_, odd_;
  std::vector<float> received_;
};

}  // namespace slm::train
