#include "serve/chat_api.h"

#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "base/error.h"
#include "text/json.h"
#include "text/messages.h"

namespace slm::serve {

using nlohmann::ordered_json;

struct ChatRequest {
  ordered_json messages, tools, kwargs = ordered_json::object();
  engine::SamplerOptions sampler;
  std::vector<std::string> stop;
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
  if (!fits)
    throw Error(Code::kBadInput, "{}: expected {}, got {}", name,
                std::is_same_v<T, bool>       ? "a boolean"
                : std::is_integral_v<T>       ? "an integer"
                : std::is_floating_point_v<T> ? "a number"
                                              : "a string",
                it->type_name());
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    const bool is_in_range = it->is_number_unsigned() ? std::in_range<T>(it->get<uint64_t>())
                                                      : std::in_range<T>(it->get<int64_t>());
    if (!is_in_range) throw Error(Code::kBadInput, "{}: out of range, got {}", name, it->dump());
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

// What would change the answer and is not supported, unless it asks for what happens anyway.
void CheckSupported(const ordered_json& body) {
  const std::pair<const char*, ordered_json> neutral[] = {
      {"n", 1},
      {"logprobs", false},
      {"response_format", {{"type", "text"}}},
      {"tool_choice", "auto"},
      {"functions", ordered_json::array()},
  };
  for (const auto& [name, value] : neutral)
    if (const auto it = body.find(name); it != body.end() && !it->is_null() && *it != value)
      throw Error(Code::kUnsupported, "{} is not supported", name);
}

std::vector<std::string> ReadStop(const ordered_json& body) {
  const auto it = body.find("stop");
  if (it == body.end() || it->is_null()) return {};
  std::vector<std::string> stop;
  for (const ordered_json& text : it->is_array() ? *it : ordered_json::array({*it})) {
    if (!text.is_string())
      throw Error(Code::kBadInput, "stop: expected a string or a list of strings");
    if (!text.get_ref<const std::string&>().empty()) stop.push_back(text);
  }
  return stop;
}

void ReadLogitBias(const ordered_json& body, engine::SamplerOptions* sampler) {
  const auto it = body.find("logit_bias");
  if (it == body.end() || it->is_null()) return;
  if (!it->is_object()) throw Error(Code::kBadInput, "logit_bias: expected an object");
  for (const auto& [key, bias] : it->items()) {
    int32_t id = 0;
    const char* end = key.data() + key.size();
    if (std::from_chars(key.data(), end, id).ptr != end || key.empty() || !bias.is_number())
      throw Error(Code::kBadInput, "logit_bias: expected token ids and numbers");
    sampler->logit_bias.emplace_back(id, bias.get<float>());
  }
}

}  // namespace

std::shared_ptr<const ChatRequest> ChatApi::Parse(std::string_view text) const {
  const ordered_json body = text::ParseJson(text, "the body");
  if (!body.is_object()) throw Error(Code::kBadInput, "the body is not a JSON object");
  CheckSupported(body);
  auto request = std::make_shared<ChatRequest>();
  if (!body.contains("messages") || !body.at("messages").is_array() || body.at("messages").empty())
    throw Error(Code::kBadInput, "messages: expected a list with at least one message");
  request->messages = body.at("messages");
  text::JoinTextParts(&request->messages);
  request->stop = ReadStop(body);
  if (body.contains("tools")) request->tools = body.at("tools");
  model_.chat_template->CheckTools(request->messages, request->tools);
  if (body.contains("chat_template_kwargs")) request->kwargs = body.at("chat_template_kwargs");
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
  ReadLogitBias(body, &sampler);
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
                         const std::function<bool(std::string_view)>& on_text,
                         const std::function<bool()>& is_cancelled) {
  const std::string prompt =
      model_.chat_template->RenderChat(request.messages, request.tools, true, request.kwargs);
  bool is_gone = false;
  AnswerOptions options;
  options.max_tokens = request.max_tokens;
  options.on_text = [&](std::string_view text) { is_gone = is_gone || !on_text(text); };
  options.stop = request.stop;
  options.is_cancelled = [&] { return is_gone || is_cancelled(); };
  options.speculator = model_.speculator;
  return GenerateAnswer(*model_.tokenizer, model_.executor, model_.session, prompt,
                        engine::Sampler(request.sampler), options);
}

std::string ChatApi::Complete(const ChatRequest& request,
                              const std::function<bool()>& is_cancelled) {
  const Answer answer = Generate(
      request, [](std::string_view) { return true; }, is_cancelled);
  if (answer.result.reason == engine::FinishReason::kCancelled) return "";
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

bool ChatApi::Stream(const ChatRequest& request, const ChunkSink& sink,
                     const std::function<bool()>& is_cancelled) {
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
  const auto send_text = [&](std::string_view text) {
    begin();
    return send({{"content", text}}, nullptr);
  };
  const Answer answer = Generate(request, send_text, is_cancelled);
  if (answer.result.reason == engine::FinishReason::kCancelled) return false;
  begin();
  send(ordered_json::object(), Name(answer.result.reason));
  if (!request.includes_usage) return true;
  chunk["choices"] = ordered_json::array();
  chunk["usage"] = Usage(answer.result);
  return sink(Dump(chunk));
}

std::string ChatApi::ErrorJson(std::string_view message, std::string_view type) {
  return Dump(
      {{"error", {{"message", message}, {"type", type}, {"param", nullptr}, {"code", nullptr}}}});
}

}  // namespace slm::serve
