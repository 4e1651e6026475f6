#include "cli/loras.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "convert/peft_adapter.h"
#include "model/merged_loras.h"
#include "train/training_run.h"

namespace slm::cli {
namespace {

struct Spec {
  std::string path;
  float scale = 1;
};

// A path may have colons of its own.
Spec Parse(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (std::filesystem::exists(text) || colon == std::string::npos) return {text};
  Spec spec = {text.substr(0, colon)};
  const char* end = text.data() + text.size();
  const auto [after, problem] = std::from_chars(text.data() + colon + 1, end, spec.scale);
  if (problem != std::errc() || after != end || !std::isfinite(spec.scale))
    throw Error(Code::kUsage, "--lora {}: expected FILE or FILE:SCALE", text);
  return spec;
}

bool IsDora(const model::Lora& lora) {
  return std::any_of(lora.matrices.begin(), lora.matrices.end(),
                     [](const model::LoraMatrix& matrix) { return !matrix.magnitude.empty(); });
}

}  // namespace

model::Lora ReadLora(const std::string& path, const model::LoraTargets& targets) {
  if (!std::filesystem::exists(path + "/adapter_model.safetensors") &&
      train::TrainingRun::StartedBefore(path))
    throw Error(
        Code::kUsage,
        "{}: this training has not ended; the same slm finetune goes on with it, and writes "
        "the adapter in the end",
        path);
  if (std::filesystem::is_directory(path)) return convert::ReadPeftLora(path, targets);
  if (!std::filesystem::exists(path))
    throw Error(Code::kUsage, "{}: there is no such file or folder", path);
  return model::ReadGgufLora(path, targets);
}

std::vector<NamedLora> ReadLoras(const model::LoraTargets& targets,
                                 const std::vector<std::string>& specs) {
  std::vector<NamedLora> loras;
  for (const std::string& text : specs) {
    const Spec spec = Parse(text);
    loras.push_back({ReadLora(spec.path, targets), spec.scale});
    model::CheckNotMerged(loras.back().lora, targets.base());
    if (specs.size() > 1 && IsDora(loras.back().lora))
      throw Error(Code::kUnsupported, "{}: DoRA beside another adapter is not supported",
                  spec.path);
  }
  return loras;
}

std::vector<std::shared_ptr<const engine::Lora>> LoadLoras(const engine::Model& model,
                                                           const std::vector<std::string>& specs) {
  std::vector<std::shared_ptr<const engine::Lora>> loras;
  for (const NamedLora& named : ReadLoras({model.file(), model.hparams()}, specs))
    loras.push_back(std::make_shared<engine::Lora>(model, named.lora, named.scale));
  return loras;
}

std::string WithLoras(const std::string& model, const std::vector<std::string>& specs) {
  std::string name = model;
  for (const std::string& text : specs) {
    const Spec spec = Parse(text);
    std::filesystem::path path = std::filesystem::path(spec.path).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    name += "+" + (path.extension() == ".gguf" ? path.stem() : path.filename()).string();
    if (spec.scale != 1) name += fmt::format(":{:g}", spec.scale);
  }
  return name;
}

std::vector<std::string> LoraPaths(const std::vector<std::string>& specs) {
  std::vector<std::string> paths;
  for (const std::string& text : specs) paths.push_back(Parse(text).path);
  return paths;
}

}  // namespace slm::cli
