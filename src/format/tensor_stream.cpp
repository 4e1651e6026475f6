#include "format/tensor_stream.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"

namespace slm::format {
namespace {

// Elements that a thread decodes at a time (1 MB of floats, its level-2 cache), and chunks of a
// batch for each thread, so that a slow one holds up an eighth of a batch.
constexpr int64_t kChunkElements = 1 << 18;
constexpr int64_t kChunksPerThread = 8;

void CheckHalves(const std::string& name, const float* values, const uint8_t* halves, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t bits;
    std::memcpy(&bits, halves + 2 * i, 2);
    if ((bits & 0x7fff) == 0x7c00 && std::isfinite(values[i]))
      throw Error(
          Code::kBadInput,
          "tensor {}: expected values that f16 can hold, up to 65504, got {}; bf16 holds it", name,
          values[i]);
  }
}

void Encode(const TensorSource& source, const TensorTarget& target, const float* rows,
            int64_t first, int64_t count, uint8_t* blocks) {
  if (target.encode) {
    target.encode(rows, first, count, blocks);
    return;
  }
  const quant::TypeTraits& traits = quant::Traits(target.type);
  SLM_CHECK(traits.encode != nullptr);
  const int64_t n = count * source.dims[0];
  traits.encode(rows, blocks, n);
  if (target.type == quant::Type::kF16) CheckHalves(source.name, rows, blocks, n);
}

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
      Encode(source, target, floats.data(), first + begin, rows,
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
