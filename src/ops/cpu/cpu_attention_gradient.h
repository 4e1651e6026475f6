// The backward pass of attention, on one thread: of the heads that share one of keys and values.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/cpu/float_panels.h"
#include "ops/gradients.h"

namespace slm::ops {

class CpuAttentionGradient {
 public:
  explicit CpuAttentionGradient(const kernels::KernelTable& kernels)
      : kernels_(kernels), multiplier_(kernels) {}

  void Run(const AttentionGradient& op, int64_t kv_head);
  // Memory for that.
  static uint64_t BytesFor(const AttentionGradient& op);

 private:
  // Queries [first, first + count) of one head, over positions [begin, end).
  struct Tile {
    int64_t first, count, begin, end;
    int64_t positions() const { return end - begin; }
  };
  void RunTile(const AttentionGradient& op, int64_t head, int64_t kv_head, const Tile& tile);

  const kernels::KernelTable& kernels_;
  FloatMultiplier multiplier_;
  FloatPanels keys_, values_;                                  // [Dh, positions]
  FloatPanels key_rows_;                                       // [positions, Dh]
  FloatPanels queries_;                                        // [queries, Dh], of a tile; or dout
  std::vector<float> weights_, slopes_, scores_, transposed_;  // [queries, positions], and back
};

}  // namespace slm::ops
