// Loops over rows where an operation is cheap per row.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/thread_pool.h"

namespace slm::ops {

// body(row, thread) for every row; a thread takes several at a time.
template <class Body>
void ForRows(ThreadPool* pool, int64_t rows, const Body& body) {
  constexpr int64_t kRowsPerChunk = 8;
  pool->ParallelFor((rows + kRowsPerChunk - 1) / kRowsPerChunk, [&](int64_t chunk, int thread) {
    const int64_t end = std::min(rows, (chunk + 1) * kRowsPerChunk);
    for (int64_t t = chunk * kRowsPerChunk; t < end; ++t) body(t, thread);
  });
}

}  // namespace slm::ops
