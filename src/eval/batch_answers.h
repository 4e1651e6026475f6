// Greedy answers to many prompts, several at a time: the same tokens as one by one.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/executor.h"

namespace slm::eval {

struct BatchAnswersOptions {
  engine::SessionOptions session;
  int64_t max_tokens = 256;       // of an answer
  std::span<const int32_t> stop;  // tokens that end one; they are not part of it
  size_t at_once = 16;            // sessions
};

// done(i, tokens) for every prompt, in the order in which answers are complete. What does not fit
// the context ends there. Throws as Executor::Forward.
void AnswerAll(const std::shared_ptr<const engine::Model>& model, engine::Executor* executor,
               std::span<const std::vector<int32_t>> prompts, const BatchAnswersOptions& options,
               const std::function<void(size_t, const std::vector<int32_t>&)>& done);

}  // namespace slm::eval
