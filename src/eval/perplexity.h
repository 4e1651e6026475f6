// Perplexity as llama.cpp's tool measures it: the text in chunks of the context's size, each by
// itself; BOS, where the model wants one, in the place of every chunk's first token; the second
// half of each chunk counts.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/executor.h"
#include "text/tokenizer.h"

namespace slm {
class Progress;
}

namespace slm::eval {

struct Perplexity {
  double perplexity = 0;
  double standard_error = 0;
  int64_t tokens = 0;  // that counted
  double seconds = 0;
};

// Throws kUsage unless a context can be halved into something to measure and `chunks` is -1 or
// positive.
void CheckPerplexityOptions(int64_t context, int64_t chunks);

// `chunks` -1: all. Throws as CheckPerplexityOptions does; kBadInput when the text has fewer tokens
// than two chunks, or is shorter than asked for.
Perplexity MeasurePerplexity(const text::Tokenizer& tokenizer, engine::Executor* executor,
                             engine::Session* session, std::string_view text, int64_t chunks,
                             Progress* progress);

}  // namespace slm::eval
