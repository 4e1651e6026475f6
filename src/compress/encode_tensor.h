// A tensor's rows from floats to a type of a file: by all threads, in pieces, so that no tensor
// is ever in memory as a whole.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "kernels/table.h"
#include "quant/type.h"

namespace slm {
class ThreadPool;
}

namespace slm::compress {

struct RowSource {
  int64_t rows = 0, k = 0;
  // Fills rows [first, first + count), [count, k]. Called from several threads.
  std::function<void(int64_t first, int64_t count, float* out)> read;
};

// Hands the rows, encoded, to `sink` in their order, piece by piece. `importance` is [k], of every
// column; empty: all alike.
void EncodeTensor(const RowSource& source, quant::Type type, std::span<const float> importance,
                  const kernels::KernelTable& kernels, ThreadPool* pool,
                  const std::function<void(std::span<const uint8_t>)>& sink);

}  // namespace slm::compress
