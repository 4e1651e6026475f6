#include "eval/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "eval/chunk_reader.h"
#include "eval/cross_entropy.h"

namespace slm::eval {

Perplexity MeasurePerplexity(const text::TextChunks& chunks, engine::Executor* executor,
                             engine::Session* session, Progress* progress) {
  const auto start = std::chrono::steady_clock::now();
  const auto vocab = static_cast<size_t>(session->model().hparams().vocab);
  ThreadPool* pool = session->model().runtime()->pool();
  ChunkReader reader(executor, session);
  std::vector<double> losses;
  if (progress)
    progress->Start("perplexity", ProgressUnit::kCount, 0, static_cast<uint64_t>(chunks.count()));
  for (int64_t chunk = 0; chunk < chunks.count(); ++chunk) {
    const std::vector<int32_t> input = chunks.Input(chunk);
    for (const ChunkBlock& block : BlocksOf(chunks.size())) {
      const std::span<const float> logits = reader.Read(input, block);
      if (!block.is_scored) continue;
      const size_t before = losses.size();
      losses.resize(before + static_cast<size_t>(block.rows));
      pool->ParallelFor(block.rows, [&](int64_t row, int) {
        const auto r = static_cast<size_t>(row);
        losses[before + r] = CrossEntropy(logits.subspan(r * vocab, vocab),
                                          input[static_cast<size_t>(block.first + row + 1)]);
      });
    }
    if (progress) progress->Update(static_cast<uint64_t>(chunk + 1));
  }
  if (progress) progress->Finish();

  double sum = 0, squares = 0;
  for (const double loss : losses) {
    sum += loss;
    squares += loss * loss;
  }
  if (!std::isfinite(sum))
    throw Error(Code::kBadInput, "{}: the logits are not finite: its weights are broken",
                session->model().file().path());
  const double n = static_cast<double>(losses.size()), mean = sum / n;
  const double variance = squares / n - mean * mean;
  Perplexity result;
  result.tokens = static_cast<int64_t>(losses.size());
  result.perplexity = std::exp(mean);
  result.standard_error = variance > 0 ? std::sqrt(variance / (n - 1)) * result.perplexity : 0;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace slm::eval
