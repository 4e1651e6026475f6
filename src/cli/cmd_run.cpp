
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "serve/answer.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

struct Flags {
  ModelOptions model;
  PromptFlags prompt;
  SamplerFlags sampler;
  std::string system, lookup;
  int64_t max_tokens = -1;
  bool is_raw = false, is_json = false;
};

std::string Rendered(LoadedModel* loaded, const Flags& flags) {
  const std::string text = flags.prompt.Read();
  if (flags.is_raw) return text;
  ordered_json messages = ordered_json::array();
  if (!flags.system.empty()) messages.push_back({{"role", "system"}, {"content", flags.system}});
  messages.push_back({{"role", "user"}, {"content", text}});
  return loaded->chat_template().RenderChat(messages, nullptr, true, ordered_json::object());
}

void PrintJson(const serve::Answer& answer) {
  const engine::GenerateResult& r = answer.result;
  const double count = static_cast<double>(r.tokens.size());
  const ordered_json json = {{"text", answer.text},
                             {"tokens", r.tokens},
                             {"finish_reason", serve::Name(r.reason)},
                             {"prompt_tokens", r.prompt_tokens},
                             {"prompt_ms", r.prompt_seconds * 1e3},
                             {"completion_tokens", r.tokens.size()},
                             {"drafted_tokens", r.drafted_tokens},
                             {"accepted_tokens", r.accepted_tokens},
                             {"decode_ms", r.decode_seconds * 1e3},
                             {"tokens_per_second", count > 1 ? (count - 1) / r.decode_seconds : 0}};
  const auto replace = ordered_json::error_handler_t::replace;
  std::printf("%s\n", json.dump(-1, ' ', false, replace).c_str());
}

void Run(const Flags& flags) {
  std::optional<engine::Speculator> speculator = ParseLookup(flags.lookup);
  LoadedModel loaded(flags.model);
  const engine::Sampler sampler(flags.sampler.Finish(loaded.tokenizer()));
  const std::string prompt = Rendered(&loaded, flags);
  engine::Session session = loaded.NewSession();
  const InterruptGuard interrupt;
  serve::AnswerOptions options;
  options.max_tokens = flags.max_tokens;
  options.is_cancelled = IsAnswerUnwanted;
  options.speculator = speculator ? &*speculator : nullptr;
  if (!flags.is_json) options.on_text = PrintPart;
  const serve::Answer answer = serve::GenerateAnswer(loaded.tokenizer(), &loaded.executor(),
                                                     &session, prompt, sampler, options);
  if (flags.is_json) {
    PrintJson(answer);
  } else {
    std::putchar('\n');
    std::fflush(stdout);  // before what is said of it
  }
  if (InterruptGuard::IsInterrupted() && answer.result.reason == engine::FinishReason::kCancelled)
    throw Error(Code::kInterrupted, "interrupted");
  if (answer.result.reason == engine::FinishReason::kLength && flags.max_tokens < 0)
    std::fprintf(stderr, "slm: stopped: the context of %lld tokens is full\n",
                 static_cast<long long>(session.context()));
}

}  // namespace

Work DeclareRun(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  AddModelOptions(app, &flags->model);
  AddChatTemplateFile(app, &flags->model.chat_template_file);
  AddPrompt(app, &flags->prompt);
  CLI::Option* system = AddOption(app, "--system", flags->system, "System message");
  AddOption(app, "-n,--predict,--n-predict", flags->max_tokens,
            "Tokens to generate at most; -1: until the model stops")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 24));
  AddSamplerOptions(app, &flags->sampler);
  AddLookup(app, &flags->lookup);
  app->add_flag("--raw", flags->is_raw, "No chat template: continue the text of the prompt")
      ->excludes(system);
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
