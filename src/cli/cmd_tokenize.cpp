#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "format/gguf.h"
#include "model/vocab.h"

namespace slm::cli {
namespace {

text::Tokenizer OpenTokenizer(const std::string& model) {
  return model::MakeTokenizer(format::GgufFile::Open(ResolveModelPath(model)));
}

struct TokenizeFlags {
  std::string model;
  PromptFlags prompt;
  bool no_bos = false, no_parse_special = false, is_json = false;
};

void Tokenize(const TokenizeFlags& flags) {
  const text::Tokenizer tokenizer = OpenTokenizer(flags.model);
  const std::vector<int32_t> ids =
      tokenizer.Encode(flags.prompt.Read(),
                       {.add_special = !flags.no_bos, .parse_special = !flags.no_parse_special});
  if (flags.is_json) {
    std::printf("%s\n", nlohmann::json{{"tokens", ids}}.dump().c_str());
    return;
  }
  for (const int32_t id : ids) {
    // A token may be part of a character: bytes that are not UTF-8 print as U+FFFD.
    const nlohmann::json text = std::string(tokenizer.TokenBytes(id));
    const auto replace = nlohmann::json::error_handler_t::replace;
    std::printf("%8d  %s\n", id, text.dump(-1, ' ', false, replace).c_str());
  }
}

struct DetokenizeFlags {
  std::string model, ids;
  bool has_special = false, is_json = false;
};

void Detokenize(const DetokenizeFlags& flags) {
  const text::Tokenizer tokenizer = OpenTokenizer(flags.model);
  const std::string text = tokenizer.Decode(ParseIds(flags.ids), flags.has_special);
  if (flags.is_json) {
    const auto replace = nlohmann::json::error_handler_t::replace;
    std::printf("%s\n", nlohmann::json{{"text", text}}.dump(-1, ' ', false, replace).c_str());
  } else {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::putchar('\n');
  }
}

}  // namespace

Work DeclareTokenize(CLI::App* app) {
  auto flags = std::make_shared<TokenizeFlags>();
  AddModel(app, &flags->model);
  AddPrompt(app, &flags->prompt);
  app->add_flag("--no-bos", flags->no_bos, "Add no BOS and no EOS");
  app->add_flag("--no-parse-special", flags->no_parse_special,
                "Take control tokens in the text as plain text");
  AddJson(app, &flags->is_json);
  return [flags] { Tokenize(*flags); };
}

Work DeclareDetokenize(CLI::App* app) {
  auto flags = std::make_shared<DetokenizeFlags>();
  AddModel(app, &flags->model);
  app->add_option("--ids", flags->ids, "Token ids: 1,2,3")->required();
  app->add_flag("--special", flags->has_special, "Print control tokens too");
  AddJson(app, &flags->is_json);
  return [flags] { Detokenize(*flags); };
}

}  // namespace slm::cli
