#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "eval/perplexity.h"

namespace slm::cli {
namespace {

struct Flags {
  ModelOptions model;
  std::string file;
  text::ChunkOptions chunks;
  bool is_json = false;
};

void Run(Flags flags) {
  // The context is that of a chunk, as in llama.cpp.
  if (flags.model.context == 0) flags.model.context = 512;
  flags.chunks.size = flags.model.context;
  text::CheckChunkOptions(flags.chunks);
  const std::string text = ReadTextFile(flags.file);
  LoadedModel loaded(flags.model);
  const text::TextChunks chunks(loaded.tokenizer(), text, flags.chunks);
  engine::Session session = loaded.NewSession();
  ProgressBar progress(STDERR_FILENO, ProgressBar::Rest::kNothing);
  const eval::Perplexity result =
      eval::MeasurePerplexity(chunks, &loaded.executor(), &session, &progress);
  if (flags.is_json) {
    const nlohmann::ordered_json json = {{"perplexity", result.perplexity},
                                         {"stderr", result.standard_error},
                                         {"tokens", result.tokens},
                                         {"seconds", result.seconds}};
    std::printf("%s\n", json.dump().c_str());
  } else {
    std::printf("perplexity %.4f +/- %.4f over %lld tokens in %.1f s\n", result.perplexity,
                result.standard_error, static_cast<long long>(result.tokens), result.seconds);
  }
}

}  // namespace

Work DeclarePerplexity(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  AddModelOptions(app, &flags->model);
  app->get_option("--ctx-size")->description("Tokens of a chunk; 0: 512");
  app->add_option("-f,--file", flags->file, "Text to measure on")->required();
  AddChunks(app, &flags->chunks);
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
