#include "compress/encode_tensor.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"

namespace slm::compress {
namespace {

constexpr int64_t kTaskElements = 1 << 16;   // what a thread takes at a time, at least a row
constexpr int64_t kPieceElements = 1 << 22;  // what is handed on at once

}  // namespace

void EncodeTensor(const RowSource& source, quant::Type type, std::span<const float> importance,
                  const kernels::KernelTable& kernels, ThreadPool* pool,
                  const std::function<void(std::span<const uint8_t>)>& sink) {
  const auto encode = kernels.encode[static_cast<size_t>(type)];
  const quant::TypeTraits& traits = quant::Traits(type);
  const int64_t k = source.k;
  SLM_CHECK(k % traits.block_size == 0);
  SLM_CHECK(importance.empty() || static_cast<int64_t>(importance.size()) == k);
  const size_t row_bytes = static_cast<size_t>(k / traits.block_size) * traits.block_bytes;
  const int64_t per_task = std::max<int64_t>(1, kTaskElements / k);
  const int64_t per_piece = per_task * std::max<int64_t>(1, kPieceElements / (per_task * k));
  std::vector<uint8_t> piece;
  for (int64_t first = 0; first < source.rows; first += per_piece) {
    const int64_t count = std::min(per_piece, source.rows - first);
    piece.resize(static_cast<size_t>(count) * row_bytes);
    pool->ParallelFor((count + per_task - 1) / per_task, [&](int64_t task, int) {
      thread_local std::vector<float> floats;
      const int64_t begin = task * per_task, rows = std::min(per_task, count - begin);
      floats.resize(static_cast<size_t>(rows * k));
      source.read(first + begin, rows, floats.data());
      uint8_t* to = piece.data() + static_cast<size_t>(begin) * row_bytes;
      if (importance.empty()) {
        encode(floats.data(), nullptr, to, rows * k);
      } else {
        for (int64_t r = 0; r < rows; ++r)
          encode(floats.data() + r * k, importance.data(), to + static_cast<size_t>(r) * row_bytes,
                 k);
      }
    });
    sink(piece);
  }
}

}  // namespace slm::compress
