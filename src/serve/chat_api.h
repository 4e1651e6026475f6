// The chat endpoint of the OpenAI API, without HTTP: JSON in, JSON out. Fields that are not
// supported are refused where ignoring them would change the answer. Parse may be called from
// several threads, the others from one at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/executor.h"
#include "serve/answer.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace slm::serve {

struct ServedModel {
  std::string name;
  const text::Tokenizer* tokenizer;
  const text::ChatTemplate* chat_template;
  engine::Executor* executor;
  engine::Session* session;  // kept between requests: a common prefix is not computed again
  engine::Speculator* speculator = nullptr;  // as in engine::GenerateOptions
};

// Where a streamed answer goes, one chunk of JSON at a time; false when the client has left.
using ChunkSink = std::function<bool(std::string_view json)>;

struct ChatRequest;  // a parsed request

class ChatApi {
 public:
  explicit ChatApi(const ServedModel& model) : model_(model) {}

  // `body` is the request. Throws Error kBadInput, kUnsupported or kUsage for one that cannot be
  // answered.
  std::shared_ptr<const ChatRequest> Parse(std::string_view body) const;
  static bool IsStreamed(const ChatRequest& request);
  // The whole answer; empty when it was cancelled.
  std::string Complete(const ChatRequest& request, const std::function<bool()>& is_cancelled);
  // The answer in chunks, without the final [DONE]; false when it was cancelled.
  bool Stream(const ChatRequest& request, const ChunkSink& sink,
              const std::function<bool()>& is_cancelled);

  // The body of an error response.
  static std::string ErrorJson(std::string_view message, std::string_view type);

 private:
  Answer Generate(const ChatRequest& request, const std::function<bool(std::string_view)>& on_text,
                  const std::function<bool()>& is_cancelled);

  ServedModel model_;
  uint64_t requests_ = 0;
};

}  // namespace slm::serve
