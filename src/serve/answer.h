// One answer of a model to a rendered prompt, streamed: what `run`, `chat` and `serve` share.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/generate.h"
#include "text/tokenizer.h"

namespace slm::serve {

struct AnswerOptions {
  int64_t max_tokens = -1;
  std::vector<std::string> stop = {};  // texts that end the answer and are not part of it
  std::function<bool()> is_cancelled;
  std::function<void(std::string_view)> on_text;  // whole characters
  engine::Speculator* speculator = nullptr;       // as in engine::GenerateOptions
};

struct Answer {
  std::string text;
  engine::GenerateResult result;
};

// BOS is added once, whether the template wrote it or not.
Answer GenerateAnswer(const text::Tokenizer& tokenizer, engine::Executor* executor,
                      engine::Session* session, const std::string& prompt,
                      const engine::Sampler& sampler, const AnswerOptions& options);

// "stop", "length" or "cancelled".
const char* Name(engine::FinishReason reason);

}  // namespace slm::serve
