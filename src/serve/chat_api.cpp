#include "serve/chat_api.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "base/error.h"

namespace slm::serve {

using nlohmann::ordered_json;

struct ChatRequest {
  ordered_json messages, tools, kwargs = ordered_json::object();
  engine::SamplerOptions sampler;
  int64_t max_tokens = -1;
  bool is_streamed = false, includes_usage = false;
};

namespace {

std::string Dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// The value of `name`, or nothing when it is absent or null.
template <class T>
std::optional<T> Field(const ordered_json& body, const char* name) {
  const auto it = body.find(name);
  if (it == body.end() || it->is_null()) return std::nullopt;
  const bool fits = std::is_same_v<T, bool>       ? it->is_boolean()
                    : std::is_integral_v<T>       ? it->is_number_integer()
                    : std::is_floating_point_v<T> ? it->is_number()
                                                  : it->is_string();
  if (!fits) throw Error(Code::kBadInput, "{}: wrong type, got {}", name, Dump(*it));
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    const bool is_in_range = it->is_number_unsigned() ? std::in_range<T>(it->get<uint64_t>())
                                                      : std::in_range<T>(it->get<int64_t>());
    if (!is_in_range) throw Error(Code::kBadInput, "{}: out of range, got {}", name, Dump(*it));
  }
  return it->get<T>();
}

template <class T>
void Read(const ordered_json& body, const char* name, T* value) {
  if (const auto field = Field<T>(body, name)) *value = *field;
}

int64_t Now() {
  using std::chrono::system_clock;
  return std::chrono::duration_cast<std::chrono::seconds>(system_clock::now().time_since_epoch())
      .count();
}

ordered_json Usage(const engine::GenerateResult& r) {
  const auto completion = static_cast<int64_t>(r.tokens.size());
  return {{"prompt_tokens", r.prompt_tokens},
          {"completion_tokens", completion},
          {"total_tokens", r.prompt_tokens + completion},
          {"prompt_tokens_details", {{"cached_tokens", r.cached_tokens}}}};
}

}  // namespace

std::shared_ptr<const ChatRequest> ChatApi::Parse(std::string_view text) const {
  ordered_json body;
  try {
    body = ordered_json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw Error(Code::kBadInput, "the body is not JSON: {}", error.what());
  }
  if (!body.is_object()) throw Error(Code::kBadInput, "the body is not a JSON object");
  for (const char* name : {"response_format", "logprobs", "stop", "tool_choice"})
    if (const auto it = body.find(name);
        it != body.end() && !it->is_null() && *it != false && *it != "auto")
      throw Error(Code::kUnsupported, "{} is not supported", name);
  if (Field<int64_t>(body, "n").value_or(1) != 1)
    throw Error(Code::kUnsupported, "n above 1 is not supported");
  auto request = std::make_shared<ChatRequest>();
  if (!body.contains("messages") || !body["messages"].is_array() || body["messages"].empty())
    throw Error(Code::kBadInput, "messages: expected a list with at least one message");
  request->messages = body["messages"];
  if (body.contains("tools")) request->tools = body["tools"];
  if (body.contains("chat_template_kwargs")) request->kwargs = body["chat_template_kwargs"];
  if (!request->kwargs.is_object())
    throw Error(Code::kBadInput, "chat_template_kwargs: expected an object");

  engine::SamplerOptions& sampler = request->sampler;
  Read(body, "temperature", &sampler.temperature);
  Read(body, "top_p", &sampler.top_p);
  Read(body, "top_k", &sampler.top_k);
  Read(body, "min_p", &sampler.min_p);
  Read(body, "repeat_penalty", &sampler.repeat_penalty);
  Read(body, "frequency_penalty", &sampler.frequency_penalty);
  Read(body, "presence_penalty", &sampler.presence_penalty);
  const auto seed = Field<int64_t>(body, "seed");
  sampler.seed = seed && *seed >= 0 ? static_cast<uint64_t>(*seed) : std::random_device()();
  engine::CheckOptions(sampler);

  Read(body, "max_tokens", &request->max_tokens);
  Read(body, "max_completion_tokens", &request->max_tokens);
  if (request->max_tokens < -1)
    throw Error(Code::kBadInput, "max_tokens: expected -1 or more, got {}", request->max_tokens);
  Read(body, "stream", &request->is_streamed);
  if (const auto it = body.find("stream_options"); it != body.end() && it->is_object())
    Read(*it, "include_usage", &request->includes_usage);
  return request;
}

bool ChatApi::IsStreamed(const ChatRequest& request) { return request.is_streamed; }

Answer ChatApi::Generate(const ChatRequest& request,
                         const std::function<bool(std::string_view)>& on_text) {
  const std::string prompt =
      model_.chat_template->Render(request.messages, request.tools, true, request.kwargs);
  bool is_gone = false;
  AnswerOptions options;
  options.max_tokens = request.max_tokens;
  options.on_text = [&](std::string_view text) { is_gone = is_gone || !on_text(text); };
  options.is_cancelled = [&] { return is_gone; };
  return GenerateAnswer(*model_.tokenizer, model_.executor, model_.session, prompt,
                        engine::Sampler(request.sampler), options);
}

std::string ChatApi::Complete(const ChatRequest& request) {
  const Answer answer = Generate(request, [](std::string_view) { return true; });
  const ordered_json message = {{"role", "assistant"}, {"content", answer.text}};
  const ordered_json choice = {
      {"index", 0}, {"message", message}, {"finish_reason", Name(answer.result.reason)}};
  return Dump({{"id", "chatcmpl-" + std::to_string(++requests_)},
               {"object", "chat.completion"},
               {"created", Now()},
               {"model", model_.name},
               {"choices", {choice}},
               {"usage", Usage(answer.result)}});
}

void ChatApi::Stream(const ChatRequest& request, const ChunkSink& sink) {
  ordered_json chunk = {{"id", "chatcmpl-" + std::to_string(++requests_)},
                        {"object", "chat.completion.chunk"},
                        {"created", Now()},
                        {"model", model_.name}};
  const auto send = [&](const ordered_json& delta, const ordered_json& reason) {
    chunk["choices"] =
        ordered_json::array({{{"index", 0}, {"delta", delta}, {"finish_reason", reason}}});
    return sink(Dump(chunk));
  };
  bool has_begun = false;
  const auto begin = [&] {
    if (!has_begun) send({{"role", "assistant"}, {"content", ""}}, nullptr);
    has_begun = true;
  };
  const Answer answer = Generate(request, [&](std::string_view text) {
    begin();
    return send({{"content", text}}, nullptr);
  });
  begin();
  send(ordered_json::object(), Name(answer.result.reason));
  if (!request.includes_usage) return;
  chunk["choices"] = ordered_json::array();
  chunk["usage"] = Usage(answer.result);
  sink(Dump(chunk));
}

std::string ChatApi::ErrorJson(std::string_view message, std::string_view type) {
  return Dump(
      {{"error", {{"message", message}, {"type", type}, {"param", nullptr}, {"code", nullptr}}}});
}

}  // namespace slm::serve
