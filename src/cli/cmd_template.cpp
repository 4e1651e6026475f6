#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "model/vocab.h"
#include "text/json.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

struct Flags {
  std::string model, template_file, messages, tools, kwargs;
  bool has_generation_prompt = false;
};

text::ChatTemplate OpenTemplate(const Flags& flags) {
  // A template alone is rendered without a model: BOS and EOS are then empty.
  if (flags.model.empty() && !flags.template_file.empty())
    return text::ChatTemplate(flags.template_file, ReadTextFile(flags.template_file), "", "");
  const auto file = format::GgufFile::Open(ResolveModelPath(flags.model));
  return LoadChatTemplate(file, model::MakeTokenizer(file), flags.template_file);
}

void Run(const Flags& flags) {
  const text::ChatTemplate chat_template = OpenTemplate(flags);
  ordered_json messages = text::ParseJson(ReadTextFile(flags.messages), flags.messages);
  ordered_json tools = flags.tools.empty()
                           ? ordered_json()
                           : text::ParseJson(ReadTextFile(flags.tools), flags.tools);
  const ordered_json kwargs =
      flags.kwargs.empty() ? ordered_json::object() : text::ParseJson(flags.kwargs, "--kwargs");
  if (!kwargs.is_object()) throw Error(Code::kBadInput, "--kwargs: expected a JSON object");
  const std::string text =
      chat_template.RenderChat(messages, tools, flags.has_generation_prompt, kwargs);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace

Work DeclareTemplate(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  AddModel(app, &flags->model);
  AddChatTemplateFile(app, &flags->template_file);
  app->add_option("--messages", flags->messages, "JSON file: a list of messages")->required();
  app->add_option("--tools", flags->tools, "JSON file: a list of tools");
  app->add_flag("--add-generation-prompt", flags->has_generation_prompt,
                "End with the start of an answer");
  app->add_option("--kwargs", flags->kwargs, "JSON object of further variables");
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
