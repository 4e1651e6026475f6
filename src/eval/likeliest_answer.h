// Which of some answers to a prompt a model finds the likeliest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/executor.h"

namespace slm::eval {

struct LikeliestAnswer {
  size_t index = 0;
  double log_probability = 0;  // log p(answer | prompt)
};

// Of answers of which none is empty; the first of equals. What several begin with is computed once,
// the likelier beginnings first, some at a time, and none that is less likely by itself than the
// best answer. The session has the prompt afterwards. Throws kUnsupported for an answer longer than
// Executor::kMaxRows.
LikeliestAnswer FindLikeliest(engine::Executor* executor, engine::Session* session,
                              std::span<const int32_t> prompt,
                              std::span<const std::vector<int32_t>> answers);

}  // namespace slm::eval
