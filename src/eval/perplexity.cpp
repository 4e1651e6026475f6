#include "eval/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/progress.h"

namespace slm::eval {
namespace {

constexpr int64_t kMinContext = 4;

// -ln of the softmax at `target`.
double Loss(std::span<const float> logits, int32_t target) {
  const double max = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - max);
  return std::log(sum) + max - static_cast<double>(logits[static_cast<size_t>(target)]);
}

}  // namespace

void CheckPerplexityOptions(int64_t context, int64_t chunks) {
  if (context < kMinContext)
    throw Error(Code::kUsage, "perplexity needs a context of at least {} tokens, got {}",
                kMinContext, context);
  if (chunks != -1 && chunks < 1)
    throw Error(Code::kUsage, "expected -1 (all) or at least 1 chunk, got {}", chunks);
}

Perplexity MeasurePerplexity(const text::Tokenizer& tokenizer, engine::Executor* executor,
                             engine::Session* session, std::string_view text, int64_t chunks,
                             Progress* progress) {
  const auto start = std::chrono::steady_clock::now();
  const int64_t size = session->context();
  CheckPerplexityOptions(size, chunks);
  std::vector<int32_t> ids = tokenizer.Encode(text, {.add_special = true, .parse_special = false});
  const int64_t available = static_cast<int64_t>(ids.size()) / size;
  if (static_cast<int64_t>(ids.size()) < 2 * size)
    throw Error(Code::kBadInput,
                "the text has {} tokens; perplexity at a context of {} needs at least {}",
                ids.size(), size, 2 * size);
  if (chunks > available)
    throw Error(Code::kBadInput, "the text has {} chunks of {} tokens, {} were asked for",
                available, size, chunks);
  if (chunks == -1) chunks = available;

  const int64_t first = size / 2;  // of a chunk's positions that predict what counts
  double sum = 0, squares = 0;
  Perplexity result;
  if (progress)
    progress->Start("perplexity", ProgressUnit::kCount, 0, static_cast<uint64_t>(chunks));
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const std::span<int32_t> part(ids.data() + chunk * size, static_cast<size_t>(size));
    const int32_t saved = part[0];
    if (tokenizer.adds_bos()) part[0] = tokenizer.bos();
    session->KeepPrefix({}, 0);
    for (int64_t at = 0; at < size;) {
      const int64_t count = std::min(engine::Executor::kMaxRows, size - at);
      const int64_t wanted = std::max<int64_t>(0, at + count - std::max(at, first));
      const engine::BatchItem item = {
          session, part.subspan(static_cast<size_t>(at), static_cast<size_t>(count)), wanted};
      executor->Forward({&item, 1}, [&](size_t, int64_t row, std::span<const float> logits) {
        const int64_t next = at + count - wanted + row + 1;
        if (next >= size) return;
        const double loss = Loss(logits, part[static_cast<size_t>(next)]);
        sum += loss;
        squares += loss * loss;
        ++result.tokens;
      });
      at += count;
    }
    part[0] = saved;
    if (progress) progress->Update(static_cast<uint64_t>(chunk + 1));
  }
  if (progress) progress->Finish();
  const double n = static_cast<double>(result.tokens), mean = sum / n;
  const double variance = squares / n - mean * mean;
  result.perplexity = std::exp(mean);
  result.standard_error = variance > 0 ? std::sqrt(variance / (n - 1)) * result.perplexity : 0;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace slm::eval
