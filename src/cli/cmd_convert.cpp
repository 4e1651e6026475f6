#include <unistd.h>

#include <cstdio>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "compress/quantizer.h"
#include "convert/convert.h"

namespace slm::cli {
namespace {

struct Flags {
  std::string input, output, type = "f16";
  bool no_vocab = false, force = false;
  int threads = 0;
};

convert::GgufTarget FindTarget(const std::string& name) {
  const compress::Recipe& recipe = compress::FindRecipe(name);
  return {recipe.file_type, [&recipe](std::span<const format::TensorSource> sources) {
            return compress::RecipeTargets(recipe, sources, kernels::Kernels());
          }};
}

void Run(const Flags& flags) {
  const convert::GgufTarget target = FindTarget(flags.type);
  ThreadPool pool(flags.threads > 0 ? flags.threads : DefaultThreads());
  ProgressBar progress(STDERR_FILENO);
  const auto notices = convert::ConvertToGguf({.folder = flags.input,
                                               .output = flags.output,
                                               .has_vocab = !flags.no_vocab,
                                               .allows_non_finite = flags.force},
                                              target, &pool, &progress);
  for (const std::string& notice : notices) std::fprintf(stderr, "slm: %s\n", notice.c_str());
}

}  // namespace

Work DeclareConvert(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  app->add_option("input", flags->input, "Folder with a checkpoint of Hugging Face or Mistral")
      ->required();
  app->add_option("-o,--output", flags->output, "GGUF file to write")->required();
  app->add_option("--type", flags->type, "f32, f16, bf16, q8_0 or any other of slm quantize")
      ->capture_default_str();
  app->add_flag("--no-vocab", flags->no_vocab, "Convert a folder without a tokenizer");
  app->add_flag("--force", flags->force, "Convert weights that are NaN or infinite, too");
  AddThreads(app, &flags->threads);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
