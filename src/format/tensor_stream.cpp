#include "format/tensor_stream.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"

namespace slm::format {
namespace {

// Elements that a thread decodes at a time (1 MB of floats, its level-2 cache), and chunks of a
// batch for each thread, so that a slow one holds up an eighth of a batch.
constexpr int64_t kChunkElements = 1 << 18;
constexpr int64_t kChunksPerThread = 8;

// The greatest half. Every type but f32 and bf16 stores one in each block, so that below it nothing
// overflows.
constexpr float kGreatestHalf = 65504;

// The data of one batch, and of the one before, which is written meanwhile.
class Batches {
 public:
  Batches(GgufWriter* writer, ThreadPool* pool)
      : writer_(writer), pool_(pool), floats_(static_cast<size_t>(pool->threads())) {}

  void Run(const TensorSource& source, const TensorTarget& target, int64_t first, int64_t count,
           int64_t chunk_rows) {
    const quant::TypeTraits& traits = quant::Traits(target.type);
    const int64_t row = source.dims[0];
    const size_t row_bytes = static_cast<size_t>(row / traits.block_size) * traits.block_bytes;
    next_.resize(static_cast<size_t>(count) * row_bytes);
    const int64_t chunks = (count + chunk_rows - 1) / chunk_rows;
    pool_->ParallelFor(chunks + 1, [&](int64_t chunk, int thread) {
      if (chunk == 0) {
        writer_->Append(written_);
        return;
      }
      const int64_t begin = (chunk - 1) * chunk_rows;
      const int64_t rows = std::min(chunk_rows, count - begin);
      std::vector<float>& floats = floats_[static_cast<size_t>(thread)];
      floats.resize(static_cast<size_t>(rows * row));
      source.read(first + begin, rows, floats.data());
      EncodeRows(source, target, floats.data(), first + begin, rows,
                 next_.data() + static_cast<size_t>(begin) * row_bytes);
    });
    written_.swap(next_);
  }

  void Flush() {
    writer_->Append(written_);
    written_.clear();
  }

 private:
  GgufWriter* writer_;
  ThreadPool* pool_;
  std::vector<std::vector<float>> floats_;  // by thread
  std::vector<uint8_t> written_, next_;
};

}  // namespace

int64_t TensorSource::elements() const {
  int64_t n = 1;
  for (const int64_t dim : dims) n *= dim;
  return n;
}

void CheckHeld(const TensorSource& source, quant::Type type, const float* rows, int64_t n,
               const uint8_t* blocks) {
  if (type == quant::Type::kF32 || type == quant::Type::kBF16 || type == quant::Type::kNF4) return;
  float greatest = 0;
  for (int64_t i = 0; i < n; ++i)
    if (std::isfinite(rows[i])) greatest = std::max(greatest, std::abs(rows[i]));
  if (greatest <= kGreatestHalf) return;
  std::vector<float> decoded(static_cast<size_t>(n));
  quant::Traits(type).decode(blocks, decoded.data(), n);
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(rows[i]) || std::abs(rows[i]) <= kGreatestHalf) continue;
    const float value = decoded[static_cast<size_t>(i)];
    if (!std::isfinite(value) || std::abs(value - rows[i]) > std::abs(rows[i]) / 2)
      throw Error(Code::kBadInput,
                  "tensor {}: expected values that {} can hold, got {}; bf16 holds it", source.name,
                  quant::Traits(type).name, rows[i]);
  }
}

void EncodeRows(const TensorSource& source, const TensorTarget& target, const float* rows,
                int64_t first, int64_t count, uint8_t* blocks) {
  const int64_t n = count * source.dims[0];
  if (target.encode) {
    target.encode(rows, first, count, blocks);
  } else {
    const quant::TypeTraits& traits = quant::Traits(target.type);
    SLM_CHECK(traits.encode != nullptr);
    traits.encode(rows, blocks, n);
  }
  CheckHeld(source, target.type, rows, n, blocks);
}

void StreamTensors(std::span<const TensorSource> sources, std::span<const TensorTarget> targets,
                   GgufWriter* writer, ThreadPool* pool, Progress* progress) {
  SLM_CHECK(sources.size() == targets.size());
  uint64_t total = 0, done = 0;
  for (size_t i = 0; i < sources.size(); ++i) {
    writer->Declare(sources[i].name, targets[i].type, sources[i].dims);
    total += static_cast<uint64_t>(sources[i].elements()) * sizeof(float);
  }
  if (progress) progress->Start("writing", ProgressUnit::kBytes, 0, total);
  Batches batches(writer, pool);
  for (size_t i = 0; i < sources.size(); ++i) {
    const TensorSource& source = sources[i];
    const int64_t row = source.dims[0], rows = source.rows();
    const int64_t chunk_rows = std::max<int64_t>(1, kChunkElements / row);
    const int64_t batch_rows = chunk_rows * kChunksPerThread * pool->threads();
    if (targets[i].prepare) targets[i].prepare(source, pool);
    for (int64_t first = 0; first < rows; first += batch_rows) {
      const int64_t count = std::min(batch_rows, rows - first);
      batches.Run(source, targets[i], first, count, chunk_rows);
      if (source.release) source.release(first + count);
      done += static_cast<uint64_t>(count * row) * sizeof(float);
      if (progress) progress->Update(done);
    }
  }
  batches.Flush();
  if (progress) progress->Finish();
}

}  // namespace slm::format
