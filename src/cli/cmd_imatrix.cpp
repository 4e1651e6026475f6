#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "compress/calibrate.h"
#include "compress/importance.h"

namespace slm::cli {
namespace {

struct Flags {
  ModelOptions model;
  std::vector<std::string> files;
  std::string out;
  text::ChunkOptions chunks;
  bool with_output = false, is_json = false;
};

void Run(Flags flags) {
  if (flags.model.context == 0) flags.model.context = 512;
  flags.chunks.size = flags.model.context;
  text::CheckChunkOptions(flags.chunks);
  std::vector<std::string> inputs = flags.files;
  inputs.push_back(ResolveModelPath(flags.model.model));
  CheckOutput(flags.out, inputs);
  std::vector<std::string> texts;
  for (const std::string& file : flags.files) texts.push_back(ReadTextFile(file));
  LoadedModel loaded(flags.model);
  std::vector<text::TextChunks> parts;
  for (const std::string& text : texts) parts.emplace_back(loaded.tokenizer(), text, flags.chunks);
  engine::Session session = loaded.NewSession();
  compress::ImportanceCollector collector(loaded.runtime().pool());
  ProgressBar progress(STDERR_FILENO, ProgressBar::Rest::kNothing);
  compress::Importance::Origin origin = {flags.files, 0, static_cast<uint32_t>(flags.chunks.size)};
  for (const text::TextChunks& part : parts) {
    compress::Calibrate(part, flags.with_output, &loaded.executor(), &session, &collector,
                        &progress);
    origin.chunks += static_cast<uint32_t>(part.count());
  }
  const compress::Importance importance =
      collector.Finish(loaded.model()->file().path(), std::move(origin));
  importance.Write(flags.out);
  const uint32_t chunks = importance.origin().chunks;
  if (flags.is_json) {
    const nlohmann::ordered_json json = {{"file", flags.out},
                                         {"tensors", importance.sums().size()},
                                         {"chunks", chunks},
                                         {"chunk_size", flags.chunks.size}};
    std::printf("%s\n", json.dump().c_str());
  } else {
    std::printf("%s: %zu tensors over %u chunks of %lld tokens\n", flags.out.c_str(),
                importance.sums().size(), chunks, static_cast<long long>(flags.chunks.size));
  }
}

}  // namespace

Work DeclareImatrix(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  AddModelOptions(app, &flags->model);
  app->get_option("--ctx-size")->description("Tokens of a chunk; 0: 512");
  app->add_option("-f,--file", flags->files, "Text to calibrate on; repeatable")->required();
  app->add_option("-o,--output", flags->out, "File to write, GGUF")->required();
  AddChunks(app, &flags->chunks);
  app->add_flag("--process-output", flags->with_output,
                "Also the output matrix; with a tied one, token_embd");
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
