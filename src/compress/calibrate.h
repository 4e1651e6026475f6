// Runs calibration text through a model while an observer watches.
#pragma once

#include <cstdint>

#include "engine/executor.h"
#include "text/text_chunks.h"

namespace slm {
class Progress;
}

namespace slm::compress {

// Every chunk by itself, as llama.cpp's `llama-imatrix` does. `with_output`: the inputs of the
// output matrix are shown, too, which costs its product for every position. The session's context
// holds at least a chunk.
void Calibrate(const text::TextChunks& chunks, bool with_output, engine::Executor* executor,
               engine::Session* session, engine::InputObserver* observer, Progress* progress);

}  // namespace slm::compress
