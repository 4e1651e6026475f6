// Perplexity as llama.cpp's tool measures it, see text_chunks.h.
#pragma once

#include <cstdint>

#include "engine/executor.h"
#include "text/text_chunks.h"

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

// The session's context holds at least a chunk.
Perplexity MeasurePerplexity(const text::TextChunks& chunks, engine::Executor* executor,
                             engine::Session* session, Progress* progress);

}  // namespace slm::eval
