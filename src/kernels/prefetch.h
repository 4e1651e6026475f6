// Asking for packed weights before they are needed. Instructions in flight reach few lines of
// memory, and the hardware's own prefetching ends at the borders of 4 KiB.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/target.h"

namespace slm::kernels {

constexpr size_t kWeightsAhead = 4096;  // bytes

// Asks for a unit's share of the block of weights at `block`. kIsOnce: nothing will read it again.
template <size_t kBlockBytes, int kUnits, bool kIsOnce>
SLM_INLINE void PrefetchUnit(const uint8_t* block, int unit) {
  constexpr int kLines = static_cast<int>((kBlockBytes + 63) / 64);
  constexpr int kEach = (kLines + kUnits - 1) / kUnits;
  SLM_UNROLL
  for (int i = 0; i < kEach; ++i)
    __builtin_prefetch(block + 64 * (kEach * unit + i), 0, kIsOnce ? 0 : 3);
}

}  // namespace slm::kernels
