#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/convert_adapter.h"
#include "cli/convert_to_hf.h"
#include "cli/options.h"
#include "cli/recipe_target.h"

namespace slm::cli {
namespace {

struct Flags {
  std::string input, output, base, type = "f16", to = "gguf";
  ToHfFlags to_hf;
  bool no_vocab = false, force = false, is_json = false;
  int threads = 0;
};

void Run(const Flags& flags) {
  if (flags.to == "hf") {
    ConvertToHf(ResolveModelPath(flags.input), flags.output, flags.to_hf, flags.threads,
                flags.force, flags.is_json);
    return;
  }
  std::vector<compress::Fallback> fallbacks;
  const convert::GgufTarget target = FindTarget(flags.type, &fallbacks);
  ThreadPool pool(flags.threads > 0 ? flags.threads : DefaultThreads());
  ProgressBar progress(STDERR_FILENO);
  auto notices = convert::ConvertToGguf({.folder = flags.input,
                                         .output = flags.output,
                                         .has_vocab = !flags.no_vocab,
                                         .allows_non_finite = flags.force},
                                        target, &pool, &progress);
  for (std::string& line : compress::Describe(fallbacks)) notices.push_back(std::move(line));
  for (const std::string& notice : notices) std::fprintf(stderr, "slm: %s\n", notice.c_str());
  if (flags.is_json)
    std::printf("%s\n", nlohmann::ordered_json{{"path", flags.output}}.dump().c_str());
}

}  // namespace

Work DeclareConvert(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  app->add_option("input", flags->input,
                  "Folder with a checkpoint of Hugging Face or Mistral; with --to hf, a GGUF file; "
                  "or an adapter, a PEFT folder or a GGUF file, which becomes the other")
      ->required();
  app->add_option("-o,--output", flags->output, "GGUF file to write; with --to hf, a folder")
      ->required();
  const CLI::Option* base =
      AddModel(app, &flags->base)->description("Of an adapter: its base, in any quantization");
  app->add_option("--to", flags->to, "gguf, or hf: a folder for transformers and vLLM")
      ->check(CLI::IsMember({"gguf", "hf"}))
      ->capture_default_str();
  const CLI::Option* type =
      app->add_option("--type", flags->type,
                      "f32, f16, bf16, q8_0 or any other of slm quantize; or nf4, for training")
          ->capture_default_str();
  app->add_flag("--no-vocab", flags->no_vocab, "Convert a folder without a tokenizer");
  app->add_flag("--force", flags->force, "Convert weights that are NaN or infinite, too");
  AddToHfFlags(app, &flags->to_hf);
  AddThreads(app, &flags->threads);
  AddJson(app, &flags->is_json);
  const CLI::Option* group_size = app->get_option("--group-size");
  const CLI::Option* to = app->get_option("--to");
  const std::vector<const CLI::Option*> of_models = {to, type, app->get_option("--no-vocab"),
                                                     app->get_option("--force"),
                                                     app->get_option("--bits")};
  return [=] {
    // Each direction has its own; none is ignored in silence.
    if (IsAdapter(flags->input, base->count() > 0)) {
      for (const CLI::Option* option : of_models)
        if (option->count() > 0)
          throw Error(Code::kUsage,
                      "{} is not for adapters; they become the other form as they are",
                      option->get_name());
      return ConvertAdapter(flags->input, ResolveModelPath(flags->base), flags->output,
                            flags->is_json);
    }
    if (base->count() > 0)
      throw Error(Code::kUsage, "-m is for adapters, and {} is none", flags->input);
    const bool is_to_hf = flags->to == "hf";
    if (is_to_hf && (type->count() > 0 || flags->no_vocab))
      throw Error(Code::kUsage, "{} is not for --to hf; --bits chooses there",
                  type->count() > 0 ? "--type" : "--no-vocab");
    if (!is_to_hf && flags->to_hf.bits != 0)
      throw Error(Code::kUsage, "--bits is for --to hf; --type chooses for GGUF");
    if (group_size->count() > 0 && flags->to_hf.bits != 4)
      throw Error(Code::kUsage, "--group-size is for --bits 4");
    Run(*flags);
  };
}

}  // namespace slm::cli
