// How likely a model finds each of some answers to a prompt.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/executor.h"

namespace slm::eval {

// log p(answer | prompt) of each, none empty: the prompt is computed once, then all answers in one
// pass (or as many as it takes by Executor::kMaxRows). The session has the prompt afterwards.
// Throws kUnsupported for an answer longer than that.
std::vector<double> ScoreAnswers(engine::Executor* executor, engine::Session* session,
                                 std::span<const int32_t> prompt,
                                 std::span<const std::vector<int32_t>> answers);

}  // namespace slm::eval
