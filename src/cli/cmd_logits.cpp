#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/options.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

struct Flags {
  ModelOptions model;
  PromptFlags prompt;
  std::string ids;
  bool is_raw = false, is_json = false;
  int64_t top = 10;
};

void Run(const Flags& flags) {
  LoadedModel loaded(flags.model);
  std::vector<int32_t> ids;
  if (!flags.ids.empty()) {
    ids = ParseIds(flags.ids);
  } else {
    std::string text = flags.prompt.Read();
    if (!flags.is_raw) {
      const ordered_json messages = {{{"role", "user"}, {"content", text}}};
      text = loaded.chat_template().RenderChat(messages, nullptr, true, ordered_json::object());
    }
    ids = loaded.tokenizer().Encode(text, {.add_special = true, .parse_special = true});
  }
  if (ids.empty()) throw Error(Code::kBadInput, "the prompt has no tokens");
  engine::Session session = loaded.NewSession();
  const std::span<const float> logits = loaded.executor().Extend(&session, ids);

  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](int32_t id) { return logits[static_cast<size_t>(id)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return logit(a) > logit(b); });
  if (flags.top > 0) order.resize(std::min(order.size(), static_cast<size_t>(flags.top)));
  if (flags.is_json) {
    ordered_json list = ordered_json::array();
    for (const int32_t id : order) list.push_back({{"id", id}, {"logit", logit(id)}});
    std::printf("%s\n", ordered_json{{"logits", list}}.dump().c_str());
    return;
  }
  // With --ids a model needs no vocabulary.
  const bool has_vocab = loaded.model()->file().metadata().Has("tokenizer.ggml.tokens");
  for (const int32_t id : order) {
    const nlohmann::json text = has_vocab ? std::string(loaded.tokenizer().TokenBytes(id)) : "";
    const auto replace = nlohmann::json::error_handler_t::replace;
    std::printf("%8d  %12.6f  %s\n", id, static_cast<double>(logit(id)),
                text.dump(-1, ' ', false, replace).c_str());
  }
}

}  // namespace

Work DeclareLogits(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  AddModelOptions(app, &flags->model);
  AddChatTemplateFile(app, &flags->model.chat_template_file);
  AddPrompt(app, &flags->prompt);
  app->add_option("--ids", flags->ids, "Token ids instead of a prompt: 1,2,3")
      ->excludes(app->get_option("--prompt"))
      ->excludes(app->get_option("--file"));
  app->add_flag("--raw", flags->is_raw, "No chat template around the prompt");
  app->add_option("--top", flags->top, "How many, highest first; 0: all")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 31))
      ->capture_default_str();
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
