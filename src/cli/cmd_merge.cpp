#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/measured_merge.h"
#include "cli/options.h"
#include "cli/write_merged.h"
#include "compress/importance.h"
#include "model/family.h"

namespace slm::cli {
namespace {

// Of most weights of the file, where that is a float type; what is quantized is decoded to F16.
std::string DefaultType(const format::GgufFile& file) {
  const quant::Type type = CommonestType(file);
  return IsQuantized(type) ? "F16" : quant::Traits(type).name;
}

void RunMerge(const MeasuredMergeFlags& flags) {
  const std::string path = ResolveModelPath(flags.model.model);
  std::vector<std::string> inputs = LoraPaths(flags.model.loras);
  inputs.insert(inputs.end(), {path, flags.imatrix});
  CheckOutput(flags.output, inputs);
  const format::GgufFile base = format::GgufFile::Open(path);
  const model::Hparams hparams =
      ReadHparams(base, model::FindFamily(base.metadata().GetString("general.architecture"), path));
  const std::vector<NamedLora> loras = ReadLoras({base, hparams}, flags.model.loras);
  const compress::Recipe& recipe =
      compress::FindRecipe(flags.type.empty() ? DefaultType(base) : flags.type);
  ThreadPool pool(flags.model.threads > 0 ? flags.model.threads : DefaultThreads());
  ProgressBar progress(STDERR_FILENO);
  compress::QuantizeOptions options;
  options.recipe = &recipe;
  std::optional<compress::Importance> importance;
  if (!flags.imatrix.empty()) {
    importance = compress::Importance::Read(flags.imatrix);
    options.importance = &*importance;
    options.importance_file = flags.imatrix;
  }
  const MergedFile merged = WriteMerged(base, loras, options, flags.output, &pool, &progress);
  if (merged.requantized > 0)
    std::fprintf(stderr,
                 "slm: %zu tensors were quantized already; the new error adds to the old one. "
                 "Better merge into the float model, or keep the adapter beside this one; -d "
                 "measures which\n",
                 merged.requantized);
  for (const std::string& line : compress::Describe(merged.fallbacks))
    std::fprintf(stderr, "slm: %s\n", line.c_str());
  if (flags.is_json)
    std::printf(
        "%s\n",
        nlohmann::ordered_json{{"path", flags.output}, {"type", recipe.name}}.dump().c_str());
  else
    std::fprintf(stderr, "slm: wrote %s in %s\n", flags.output.c_str(), recipe.name);
}

void Run(const MeasuredMergeFlags& flags) {
  if (flags.model.loras.empty()) throw Error(Code::kUsage, "--lora: name an adapter to merge");
  if (flags.data.empty())
    RunMerge(flags);
  else
    RunMeasuredMerge(flags);
}

}  // namespace

Work DeclareMerge(CLI::App* app) {
  auto flags = std::make_shared<MeasuredMergeFlags>();
  MeasuredMergeFlags* f = flags.get();
  AddModel(app, &f->model.model);
  AddLora(app, &f->model.loras);
  app->add_option("-o,--output", f->output, "GGUF file to write")->required();
  app->add_option("--type", f->type,
                  "f32, f16, bf16, q8_0 or any other of slm quantize (default: the base's, where "
                  "that is a float type, else f16; with -d always the base's)");
  app->add_option("--imatrix", f->imatrix,
                  "Importance matrix, of slm imatrix with --lora; with -d both is tried");
  CLI::Option* data = app->add_option(
      "-d,--data", f->data,
      "Held-out examples, in any form of slm finetune: measures what merging loses, and writes the "
      "file only if it loses nothing against the adapter beside the base");
  const auto add = [&](const char* name, auto& value, const char* help) {
    return app->add_option(name, value, help)->needs(data);
  };
  add("--float", f->float_model,
      "With -d: the base in float, to merge into as well, where the adapter was trained on a "
      "quantized one");
  add("--limit", f->limit, "Examples of -d, from the first")->check(AboveZero());
  app->add_flag("--no-speed", f->has_no_speed, "Do not measure prefill and decode")->needs(data);
  AddChatTemplateFile(app, &f->model.chat_template_file);
  AddPack(app, &f->model.pack);
  AddThreads(app, &f->model.threads);
  AddJson(app, &f->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
