// A tensor's rows from floats to a type of a file: by all threads, in pieces, so that no tensor
// is ever in memory as a whole.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "format/tensor_stream.h"

namespace slm {
class ThreadPool;
}
namespace slm::kernels {
struct KernelTable;
}

namespace slm::compress {

// Rows of k elements in the type, encoded with the least error. `importance` is [k], of every
// column, and must outlive the target; empty: none is known.
format::TensorTarget TargetOf(quant::Type type, int64_t k, std::span<const float> importance,
                              const kernels::KernelTable& kernels);

// Hands the rows, encoded, to `sink` in their order, piece by piece. Throws as
// format::StreamTensors does.
void EncodeTensor(const format::TensorSource& source, const format::TensorTarget& target,
                  ThreadPool* pool, const std::function<void(std::span<const uint8_t>)>& sink);

}  // namespace slm::compress
