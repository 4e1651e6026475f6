#include "cli/training_subject.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/progress.h"
#include "cli/loras.h"
#include "cli/write_merged.h"
#include "convert/hf_gradients.h"
#include "convert/peft_adapter_writer.h"
#include "model/lora_writer.h"
#include "model/merged_loras.h"
#include "train/trained_model.h"

namespace slm::cli {
namespace {

std::vector<std::string> Split(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    const size_t first = std::min(list.find_first_not_of(' ', at), comma);
    const size_t last = list.find_last_not_of(' ', comma > 0 ? comma - 1 : 0);
    if (comma > first) parts.push_back(list.substr(first, last + 1 - first));
    at = comma + 1;
  }
  if (parts.empty())
    throw Error(Code::kUsage,
                "--target: expected names of matrices, such as q_proj,v_proj, or all");
  return parts;
}

void WriteAdapter(const FinetuneFlags& flags, const engine::Model& model, const model::Lora& lora,
                  const std::string& folder) {
  const model::LoraTargets targets(model.file(), model.hparams());
  const std::string base = flags.checkpoint.empty()
                               ? std::filesystem::path(model.file().path()).filename().string()
                               : flags.checkpoint;
  convert::WritePeftLora(folder, lora, targets,
                         {base, flags.lora.is_rank_stabilised, flags.dropout});
}

}  // namespace

model::Lora FirstLora(const FinetuneFlags& flags, const engine::Model& model) {
  model::Lora lora;
  if (flags.init_adapter.empty()) {
    train::NewLoraOptions options = flags.lora;
    options.targets = Split(flags.targets);
    options.seed = flags.run.seed;
    lora = train::NewLora(model, options);
  } else {
    lora = ReadLora(flags.init_adapter, {model.file(), model.hparams()});
    model::CheckNotMerged(lora, model.file());
  }
  lora.base = model::IdentityOf(model.file(), model.hparams());
  return lora;
}

TrainingSubject AdapterSubject(const FinetuneFlags& flags,
                               const std::shared_ptr<const engine::Model>& model,
                               const std::shared_ptr<train::TrainedLora>& adapter) {
  const model::Lora& lora = adapter->lora();
  const model::LoraMatrix& first = lora.matrices.front();
  const double parameters = static_cast<double>(train::ParameterLayout(lora).size());
  TrainingSubject subject{model, adapter, {}, "adapter_model.safetensors", {}, {}};
  subject.facts = {{"adapter", fmt::format("{} of rank {} on {} matrices, {:.3g} M parameters, "
                                           "scale {:.3g}",
                                           first.magnitude.empty() ? "LoRA" : "DoRA", first.rank,
                                           lora.matrices.size(), parameters / 1e6, first.scale)},
                   {"computed", fmt::format("base's products {}, checkpointing {}",
                                            flags.precision == "int8"
                                                ? "in int16, forward of gates and logits in int8"
                                                : "in " + flags.precision,
                                            flags.checkpointing)}};
  subject.write_gradients = [=](std::span<const float> gradient, const std::string& folder) {
    // By B, not by what the file's scale makes of it.
    model::Lora shaped = adapter->Shape(gradient);
    for (model::LoraMatrix& matrix : shaped.matrices) matrix.scale = shaped.matrices.front().scale;
    WriteAdapter(flags, *model, shaped, folder);
  };
  subject.write = [=] {
    const model::Lora& trained = adapter->lora();
    WriteAdapter(flags, *model, trained, flags.output);
    if (std::all_of(trained.matrices.begin(), trained.matrices.end(),
                    [](const model::LoraMatrix& matrix) { return matrix.magnitude.empty(); }))
      model::WriteGgufLora(flags.output + "/adapter.gguf", trained, model->file());
  };
  return subject;
}

std::string ModelOutput(const FinetuneFlags& flags) { return flags.output + "/model.gguf"; }

TrainingSubject ModelSubject(const FinetuneFlags& flags,
                             const std::shared_ptr<engine::FloatModel>& model) {
  const auto weights = std::make_shared<train::TrainedModel>(model);
  double parameters = 0;
  for (const auto& piece : weights->pieces())
    parameters += static_cast<double>(piece.values.size());
  TrainingSubject subject{model->model(), weights, {}, "gradients.safetensors", {}, {}};
  subject.facts = {{"trained", fmt::format("all weights, {:.4g} M parameters", parameters / 1e6)},
                   {"computed", fmt::format("in floats, checkpointing {}", flags.checkpointing)}};
  subject.write_gradients = [=](std::span<const float> gradient, const std::string& folder) {
    convert::WriteHfGradients(weights->Shape(gradient), model->model()->hparams(), folder,
                              "gradients");
  };
  subject.write = [=] {
    compress::QuantizeOptions options;
    options.recipe = &compress::FindRecipe(flags.type);
    ProgressBar progress(STDERR_FILENO);
    const MergedFile written = WriteMerged(model->model()->file(), {}, options, ModelOutput(flags),
                                           model->model()->runtime()->pool(), &progress);
    for (const std::string& line : compress::Describe(written.fallbacks))
      std::fprintf(stderr, "slm: %s\n", line.c_str());
  };
  return subject;
}

void TrainingSubject::DumpGradients(std::span<const float> gradient,
                                    const std::string& path) const {
  const std::filesystem::path folder = path + ".folder";
  if (!std::filesystem::create_directory(folder))
    throw Error(Code::kUsage, "--dump-gradients: {} is there already", folder.string());
  write_gradients(gradient, folder.string());
  std::filesystem::rename(folder / gradients_file, path);
  std::filesystem::remove_all(folder);
}

}  // namespace slm::cli
