#include "engine/generate.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace slm::engine {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

GenerateResult Generate(Executor* executor, Session* session, std::span<const int32_t> prompt,
                        const Sampler& sampler, const GenerateOptions& options) {
  const auto prompt_size = static_cast<int64_t>(prompt.size());
  const int64_t context = session->context();
  if (prompt.empty()) throw Error(Code::kBadInput, "the prompt has no tokens");
  const int64_t wanted = options.max_tokens < 0 ? 1 : options.max_tokens;
  if (wanted > context - prompt_size)
    throw Error(Code::kBadInput,
                "the prompt has {} tokens and {} are to be generated, but the context is {}; "
                "enlarge it with -c or "
                "shorten the prompt",
                prompt_size, options.max_tokens < 0 ? "more" : std::to_string(wanted), context);
  GenerateResult result;
  result.prompt_tokens = prompt_size;
  std::vector<int32_t> all(prompt.begin(), prompt.end());
  auto start = std::chrono::steady_clock::now();
  const auto is_cancelled = [&] { return options.is_cancelled && options.is_cancelled(); };
  result.cached_tokens = session->KeepPrefix(prompt, prompt_size - 1);
  const int64_t limit = options.max_tokens < 0 ? context - prompt_size : options.max_tokens;
  if (limit == 0) result.reason = FinishReason::kLength;
  for (int64_t n = 0; n < limit; ++n) {
    if (is_cancelled()) {
      result.reason = FinishReason::kCancelled;
      break;
    }
    const std::span<const float> logits = executor->Extend(session, all, options.is_cancelled);
    if (logits.empty()) {
      result.reason = FinishReason::kCancelled;
      break;
    }
    const int32_t token = sampler.Sample(logits, all);
    if (n == 0) {
      session->Mark();
      result.prompt_seconds = SecondsSince(start);
      start = std::chrono::steady_clock::now();
    }
    if (std::binary_search(options.stop.begin(), options.stop.end(), token)) break;
    all.push_back(token);
    result.tokens.push_back(token);
    if (options.on_token && !options.on_token(token)) break;
    if (n + 1 == limit) result.reason = FinishReason::kLength;
  }
  result.decode_seconds = SecondsSince(start);
  session->Mark();
  return result;
}

}  // namespace slm::engine
