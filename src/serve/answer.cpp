#include "serve/answer.h"

#include "serve/stop_filter.h"

namespace slm::serve {

const char* Name(engine::FinishReason reason) {
  switch (reason) {
    case engine::FinishReason::kStop:
      return "stop";
    case engine::FinishReason::kLength:
      return "length";
    case engine::FinishReason::kCancelled:
      return "cancelled";
  }
  return "";
}

Answer GenerateAnswer(const text::Tokenizer& tokenizer, engine::Executor* executor,
                      engine::Session* session, const std::string& prompt,
                      const engine::Sampler& sampler, const AnswerOptions& options) {
  const std::vector<int32_t> ids =
      tokenizer.Encode(prompt, {.add_special = true, .parse_special = true});
  Answer answer;
  text::StreamDecoder decoder(tokenizer);
  StopFilter filter(options.stop);
  const auto emit = [&](const std::string& text) {
    answer.text += text;
    if (options.on_text && !text.empty()) options.on_text(text);
  };
  engine::GenerateOptions generate;
  generate.max_tokens = options.max_tokens;
  generate.stop = tokenizer.end_of_generation();
  generate.is_cancelled = options.is_cancelled;
  generate.speculator = options.speculator;
  generate.on_token = [&](int32_t token) {
    emit(filter.Push(decoder.Push(token)));
    return !filter.has_stopped();
  };
  answer.result = engine::Generate(executor, session, ids, sampler, generate);
  if (!filter.has_stopped()) emit(filter.Push(decoder.Flush()));
  if (!filter.has_stopped()) emit(filter.Flush());
  return answer;
}

}  // namespace slm::serve
