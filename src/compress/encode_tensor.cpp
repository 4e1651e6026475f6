#include "compress/encode_tensor.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "kernels/table.h"
#include "quant/nf4_panel.h"

namespace slm::compress {
namespace {

constexpr int64_t kTaskElements = 1 << 16;   // what a thread takes at a time, at least a row
constexpr int64_t kPieceElements = 1 << 22;  // what is handed on at once

// Codes need the largest magnitudes of a tensor's blocks before the first row is written.
format::TensorTarget Nf4Target(int64_t k) {
  const auto absmax = std::make_shared<quant::NestedAbsmax>();
  format::TensorTarget target = {quant::Type::kNF4};
  target.prepare = [=](const format::TensorSource& source, ThreadPool* pool) {
    const int64_t rows = source.rows(), per_task = std::max<int64_t>(1, kTaskElements / k);
    std::vector<float> largest(static_cast<size_t>(source.elements() / quant::kNf4Block));
    pool->ParallelFor((rows + per_task - 1) / per_task, [&](int64_t task, int) {
      thread_local std::vector<float> floats;
      thread_local std::vector<uint8_t> codes;
      const int64_t first = task * per_task, count = std::min(per_task, rows - first);
      floats.resize(static_cast<size_t>(count * k));
      codes.resize(floats.size() / 2);
      source.read(first, count, floats.data());
      quant::EncodeNf4(floats, quant::kNf4Block, codes.data(),
                       &largest[static_cast<size_t>(first * k / quant::kNf4Block)]);
    });
    *absmax = quant::EncodeAbsmax(largest);
  };
  target.encode = [=](const float* rows, int64_t first, int64_t count, uint8_t* blocks) {
    quant::EncodeNf4Blocks(rows, *absmax, first * k / quant::kNf4Block, blocks, count * k);
  };
  return target;
}

}  // namespace

format::TensorTarget TargetOf(quant::Type type, int64_t k, std::span<const float> importance,
                              const kernels::KernelTable& kernels) {
  if (quant::Traits(type).block_size == 1) return {type};
  if (type == quant::Type::kNF4) return Nf4Target(k);
  SLM_CHECK(importance.empty() || static_cast<int64_t>(importance.size()) == k);
  const auto encode = kernels.encode[static_cast<size_t>(type)];
  return {type, [=](const float* rows, int64_t, int64_t count, uint8_t* blocks) {
            if (importance.empty()) return encode(rows, nullptr, blocks, count * k);
            // Many rows at once: an encoder fills its lanes with the blocks of a call.
            thread_local std::vector<float> repeated;
            repeated.clear();
            for (int64_t r = 0; r < count; ++r)
              repeated.insert(repeated.end(), importance.begin(), importance.end());
            encode(rows, repeated.data(), blocks, count * k);
          }};
}

void EncodeTensor(const format::TensorSource& source, const format::TensorTarget& target,
                  ThreadPool* pool, const std::function<void(std::span<const uint8_t>)>& sink) {
  const quant::TypeTraits& traits = quant::Traits(target.type);
  const int64_t k = source.dims[0], rows = source.rows();
  SLM_CHECK(k % traits.block_size == 0);
  const size_t row_bytes = static_cast<size_t>(k / traits.block_size) * traits.block_bytes;
  const int64_t per_task = std::max<int64_t>(1, kTaskElements / k);
  const int64_t per_piece = per_task * std::max<int64_t>(1, kPieceElements / (per_task * k));
  if (target.prepare) target.prepare(source, pool);
  std::vector<uint8_t> piece;
  for (int64_t first = 0; first < rows; first += per_piece) {
    const int64_t count = std::min(per_piece, rows - first);
    piece.resize(static_cast<size_t>(count) * row_bytes);
    pool->ParallelFor((count + per_task - 1) / per_task, [&](int64_t task, int) {
      thread_local std::vector<float> floats;
      const int64_t begin = task * per_task, n = std::min(per_task, count - begin);
      floats.resize(static_cast<size_t>(n * k));
      source.read(first + begin, n, floats.data());
      format::EncodeRows(source, target, floats.data(), first + begin, n,
                         piece.data() + static_cast<size_t>(begin) * row_bytes);
    });
    sink(piece);
  }
}

}  // namespace slm::compress
