#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/loras.h"
#include "cli/options.h"
#include "compress/quantizer.h"
#include "format/gguf_writer.h"
#include "kernels/table.h"
#include "model/family.h"
#include "train/merge.h"

namespace slm::cli {
namespace {

struct Flags {
  std::string model, output, type;
  std::vector<std::string> loras;
  int threads = 0;
  bool is_json = false;
};

// Of most weights of the file, where that is a float type; what is quantized is decoded to F16.
std::string DefaultType(const format::GgufFile& file) {
  std::map<quant::Type, int64_t> elements;
  for (const format::GgufTensor& tensor : file.tensors()) elements[tensor.type] += tensor.elements;
  const auto most =
      std::max_element(elements.begin(), elements.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return quant::Traits(most->first).block_size == 1 ? quant::Traits(most->first).name : "F16";
}

// Weights that were quantized and are again.
void SayRequantized(const format::GgufFile& base, std::span<const format::TensorTarget> targets) {
  const auto is_quantized = [](quant::Type type) { return quant::Traits(type).block_size > 1; };
  size_t count = 0;
  for (size_t i = 0; i < base.tensors().size(); ++i)
    count += is_quantized(base.tensors()[i].type) && is_quantized(targets[i].type);
  if (count > 0)
    std::fprintf(stderr,
                 "slm: %zu tensors were quantized already; the new error adds to the old one. "
                 "Better merge into the float model, or keep the adapter beside this one\n",
                 count);
}

void Run(const Flags& flags) {
  if (flags.loras.empty()) throw Error(Code::kUsage, "--lora: name an adapter to merge");
  const std::string path = ResolveModelPath(flags.model);
  CheckOutput(flags.output, {path});
  const format::GgufFile base = format::GgufFile::Open(path);
  const model::Hparams hparams =
      ReadHparams(base, model::FindFamily(base.metadata().GetString("general.architecture"), path));
  const std::vector<NamedLora> loras = ReadLoras({base, hparams}, flags.loras);
  std::vector<train::ScaledLora> scaled;
  for (const NamedLora& lora : loras) scaled.push_back({&lora.lora, lora.scale});

  const compress::Recipe& recipe =
      compress::FindRecipe(flags.type.empty() ? DefaultType(base) : flags.type);
  ThreadPool pool(flags.threads > 0 ? flags.threads : DefaultThreads());
  ProgressBar progress(STDERR_FILENO);
  const std::vector<format::TensorSource> sources = train::MergedTensors(base, scaled);
  std::vector<compress::Fallback> fallbacks;
  const auto targets = compress::RecipeTargets(recipe, sources, kernels::Kernels(), &fallbacks);
  format::GgufWriter writer(flags.output, base.alignment());
  compress::QuantizeOptions options;
  options.recipe = &recipe;
  compress::SetQuantizedMetadata(base, options, &writer);
  format::StreamTensors(sources, targets, &writer, &pool, &progress);
  writer.Finish();
  SayRequantized(base, targets);
  for (const std::string& line : compress::Describe(fallbacks))
    std::fprintf(stderr, "slm: %s\n", line.c_str());
  if (flags.is_json)
    std::printf(
        "%s\n",
        nlohmann::ordered_json{{"path", flags.output}, {"type", recipe.name}}.dump().c_str());
}

}  // namespace

Work DeclareMerge(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  AddModel(app, &flags->model);
  AddLora(app, &flags->loras);
  app->add_option("-o,--output", flags->output, "GGUF file to write")->required();
  app->add_option("--type", flags->type,
                  "f32, f16, bf16, q8_0 or any other of slm quantize (default: the base's, where "
                  "that is a float type, else f16)");
  AddThreads(app, &flags->threads);
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
