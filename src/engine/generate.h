// The loop of generation, in tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/executor.h"
#include "engine/sampler.h"
#include "engine/speculator.h"

namespace slm::engine {

enum class FinishReason { kStop, kLength, kCancelled };

struct GenerateOptions {
  int64_t max_tokens = -1;             // -1: until the context is full
  std::span<const int32_t> stop = {};  // ids that end the answer, sorted; they are not part of it
  std::function<bool()> is_cancelled = {};  // asked before every token
  // Every token of the answer as it comes; false ends it (kStop).
  std::function<bool(int32_t token)> on_token = {};
  // Prompt lookup: what followed the last tokens where they occurred before is guessed to follow
  // again, and guesses are computed together. Changes the time that tokens take, nothing else.
  // nullptr: one token at a time.
  Speculator* speculator = nullptr;
};

struct GenerateResult {
  std::vector<int32_t> tokens;
  FinishReason reason = FinishReason::kStop;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;    // of the prompt, not computed again
  int64_t drafted_tokens = 0;   // guesses that were computed
  int64_t accepted_tokens = 0;  // those that were right
  double prompt_seconds = 0;    // until the first token
  double decode_seconds = 0;    // of the others
};

// Continues `prompt`. Throws kBadInput, with both numbers, when the prompt, or the prompt and
// max_tokens, exceed the session's context: nothing is cut silently.
GenerateResult Generate(Executor* executor, Session* session, std::span<const int32_t> prompt,
                        const Sampler& sampler, const GenerateOptions& options);

}  // namespace slm::engine
