// A tensor's rows from floats to a type of a file: by all threads, in pieces, so that no tensor
// is ever in memory as a whole.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

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

struct EncodeOptions {
  std::string name;  // of the tensor, for messages
  quant::Type type = quant::Type::kF32;
  std::span<const float> importance;  // [k], of every column; empty: all alike
  bool allows_non_finite = false;
};

// Hands the encoded rows to `sink` in their order, piece by piece. Throws kBadInput for NaN and
// infinity, naming the tensor and the place, unless they are allowed.
void EncodeTensor(const RowSource& source, const EncodeOptions& options, ThreadPool* pool,
                  const std::function<void(std::span<const uint8_t>)>& sink);

}  // namespace slm::compress
