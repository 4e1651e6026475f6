// Dropout of what the adapters of a training read (Srivastava et al. 2014), as PEFT has it: before
// A only, and for every adapter by itself, also of those that share an input. Of a share p nothing
// is left, the rest is divided by 1 - p.
//
// A mask M is a function of its row's seed, layer, slot and column: it is made whenever it is asked
// for and kept nowhere, so that layers that are computed twice, rows some at a time and any threads
// have the same one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "engine/model.h"

namespace slm::engine {

class Dropout {
 public:
  // Some rows of what an adapter reads, without gaps.
  struct Rows {
    int64_t layer;
    model::Slot slot;
    int64_t first, count, k;  // of the rows that have seeds
  };

  // `share` is at least 0 and below 1, and rounded to 2^-16. The runtime must outlive the result.
  Dropout(double share, Runtime* runtime);

  // Of the rows that are computed next; they must outlive that.
  void set_seeds(std::span<const uint64_t> seeds) { seeds_ = seeds; }

  // M x, [count, k], valid until the next call.
  float* Apply(const Rows& rows, const float* x);
  // dx += M d, rows `stride` apart: the derivative by x of that by M x.
  void AddGradient(const Rows& rows, const float* d, int64_t stride, float* dx) const;
  // W (x - M x) of matrices of a base, rows of each PadRow apart; valid until the next call. The
  // precision is not kServed.
  std::vector<ops::Product> RunRest(const Rows& rows, const float* x,
                                    std::span<const ops::Matrix* const> matrices,
                                    ops::Precision precision);

 private:
  // f(row, column, factor) for all of them, in a thread for each row.
  template <class F>
  void ForAll(const Rows& rows, const F& f) const;

  const uint32_t threshold_;  // of 16 random bits: below it nothing is left
  const float scale_;
  Runtime* runtime_;
  std::span<const uint64_t> seeds_;
  std::vector<float> dropped_, rest_, products_;
  AlignedBuffer words_;
};

}  // namespace slm::engine
