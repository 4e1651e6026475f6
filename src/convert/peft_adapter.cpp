#include "convert/peft_adapter.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <regex>
#include <utility>

#include "base/error.h"
#include "convert/config.h"
#include "convert/hf_names.h"
#include "convert/tensor_rows.h"
#include "format/byte_reader.h"
#include "format/safetensors.h"
#include "text/json.h"

namespace slm::convert {
namespace {

using format::Quoted;
using format::SafetensorsTensor;
using model::LoraMatrix;
using model::Slot;

constexpr const char* kConfig = "adapter_config.json";
constexpr std::string_view kPrefix = "base_model.model.";

enum Part { kA, kB, kMagnitude, kParts };
struct Ending {
  std::string_view text;
  Part part;
};
constexpr Ending kEndings[] = {{".lora_A.weight", kA},
                               {".lora_B.weight", kB},
                               {".lora_magnitude_vector", kMagnitude},
                               {".lora_magnitude_vector.weight", kMagnitude}};

// What else an adapter may hold, by a part of its tensors' names.
constexpr std::pair<std::string_view, const char*> kOthers[] = {
    {".lora_embedding_", "an adapter of the embedding"},
    {".lora_B.bias", "a bias beside the adapter (lora_bias)"},
    {".lora_A.bias", "a bias beside the adapter (lora_bias)"},
    {"trainable_tokens", "rows of the embedding (trainable_token_indices)"}};

// Keys of the config which, when they hold anything, change what is computed.
constexpr const char* kUnsupportedKeys[] = {
    "layer_replication", "trainable_token_indices", "alora_invocation_tokens",
    "target_parameters", "megatron_config",         "use_qalora",
    "use_bdlora",        "velora_config",           "lora_bias",
    "kasa_config",       "monteclora_config",       "arrow_config"};

// Ways to begin that take from the base what the adapter then holds.
constexpr std::string_view kBaseChanging[] = {"pissa", "olora", "corda", "loftq", "lora_ga"};

struct Module {
  std::string path;  // as the file has it, which patterns are written for
  const SafetensorsTensor* parts[kParts] = {};
};

// A dictionary of patterns of module names, in the order in which PEFT writes them.
class Patterns {
 public:
  Patterns(const Config& config, const char* key) {
    const nlohmann::json* json = config.Find(key);
    if (!json) return;
    if (!json->is_object()) config.Fail(key, "expected an object");
    if (json->size() > kMost) config.Fail(key, fmt::format("more than {} patterns", kMost));
    for (const auto& [pattern, value] : json->items()) {
      if (!value.is_number()) config.Fail(key, "expected numbers");
      if (pattern.size() > kMostBytes) config.Fail(key, "a pattern is too long");
      // The library writes a repeat out and goes through all of it by recursion.
      if (pattern.find('{') != std::string::npos)
        config.Fail(key, fmt::format("{}: counted repeats are not supported", Quoted(pattern)));
      try {
        // Not the default way to match, which takes exponential time.
        patterns_.emplace_back(
            std::regex("(.*\\.)?(" + pattern + ")",
                       std::regex::ECMAScript | std::regex_constants::__polynomial),
            value.get<double>());
      } catch (const std::regex_error&) {
        config.Fail(key, fmt::format("{} is no pattern", Quoted(pattern)));
      }
    }
  }

  // Of the first that matches all of the name.
  std::optional<double> Find(const std::string& module) const {
    for (const auto& [pattern, value] : patterns_)
      if (std::regex_match(module, pattern)) return value;
    return std::nullopt;
  }

 private:
  static constexpr size_t kMost = 10'000, kMostBytes = 200;
  std::vector<std::pair<std::regex, double>> patterns_;
};

bool IsSet(const nlohmann::json* value) {
  if (!value) return false;
  if (value->is_boolean()) return value->get<bool>();
  return !value->is_structured() || !value->empty();
}

class Reader {
 public:
  Reader(const std::string& folder, Config config, const format::Safetensors& tensors,
         const model::LoraTargets& targets)
      : folder_(folder),
        targets_(targets),
        config_(std::move(config)),
        tensors_(tensors),
        ranks_(config_, "rank_pattern"),
        alphas_(config_, "alpha_pattern") {
    const auto arch = targets.base().metadata().GetString("general.architecture");
    family_ = FindHfArch(arch);
    SLM_CHECK(family_);
  }

  model::Lora Read() {
    CheckConfig();
    FillSlots();
    model::Lora lora = {folder_, {}, Base()};
    for (const auto& [name, module] : Modules()) lora.matrices.push_back(ReadModule(name, module));
    if (lora.matrices.empty()) throw Error(Code::kBadInput, "{}: no tensors", folder_);
    return lora;
  }

 private:
  [[noreturn]] void FailTensor(const std::string& name, const std::string& problem,
                               Code code = Code::kBadInput) const {
    throw Error(code, "{}: tensor {}: {}", folder_, Quoted(name), problem);
  }

  void CheckConfig() const {
    const std::string type = config_.FindString("peft_type").value_or("");
    if (type != "LORA")
      throw Error(Code::kUnsupported, "{}: peft_type: expected \"LORA\", got {}", config_.path(),
                  Quoted(type));
    for (const char* key : kUnsupportedKeys)
      if (IsSet(config_.Find(key)))
        throw Error(Code::kUnsupported, "{}: {}: not supported", config_.path(), key);
    if (config_.FindBool("fan_in_fan_out").value_or(false))
      throw Error(Code::kUnsupported, "{}: fan_in_fan_out: not supported", config_.path());
    if (const std::string bias = config_.FindString("bias").value_or("none"); bias != "none")
      throw Error(Code::kUnsupported, "{}: bias: expected \"none\", got {}", config_.path(),
                  Quoted(bias));
    const nlohmann::json* init = config_.Find("init_lora_weights");
    if (!init || !init->is_string()) return;
    const std::string name = init->get<std::string>();
    for (const std::string_view changing : kBaseChanging)
      if (name.starts_with(changing))
        throw Error(Code::kUnsupported,
                    "{}: init_lora_weights: {} changes the base; save the adapter with "
                    "path_initial_model_for_weight_conversion, which makes a plain one",
                    config_.path(), Quoted(name));
  }

  std::optional<model::BaseIdentity> Base() const {
    const auto base = model::ParseBaseIdentity(folder_, [&](const char* key) {
      const auto at = tensors_.metadata().find(key);
      return at == tensors_.metadata().end() ? std::nullopt : std::optional(at->second);
    });
    if (base) CheckBase(folder_, *base, targets_.base(), targets_.hparams());
    return base;
  }

  // By the names of their modules, without ".weight".
  void FillSlots() {
    constexpr std::string_view kWeight = ".weight";
    for (const model::TensorRow& row : model::TensorTable()) {
      if (row.out == model::Dim::kNone) continue;
      for (int64_t layer = 0; layer < (row.is_layer ? targets_.hparams().layers : 1); ++layer)
        if (auto name = HfTensorName(*family_, Form::kTransformers, row.slot, layer))
          slots_[name->substr(0, name->size() - kWeight.size())] = {row.slot, layer};
    }
  }

  std::map<std::string, Module> Modules() const {
    std::map<std::string, Module> modules;
    for (const SafetensorsTensor& tensor : tensors_.tensors()) {
      const auto ending =
          std::find_if(std::begin(kEndings), std::end(kEndings),
                       [&](const Ending& e) { return tensor.name.ends_with(e.text); });
      if (ending == std::end(kEndings) || !tensor.name.starts_with(kPrefix)) FailOther(tensor);
      const std::string path = tensor.name.substr(
          kPrefix.size(), tensor.name.size() - kPrefix.size() - ending->text.size());
      Module& module = modules[TextModelName(path)];
      const SafetensorsTensor*& part = module.parts[ending->part];
      if (part || (!module.path.empty() && module.path != path))
        FailTensor(tensor.name, "is there twice, under two names");
      module.path = path;
      part = &tensor;
    }
    return modules;
  }

  [[noreturn]] void FailOther(const SafetensorsTensor& tensor) const {
    for (const auto& [part, what] : kOthers)
      if (tensor.name.find(part) != std::string::npos)
        FailTensor(tensor.name, fmt::format("{} is not supported", what), Code::kUnsupported);
    FailTensor(tensor.name,
               "not a part of a LoRA; a whole weight beside one (modules_to_save) is not "
               "supported: merge it with PEFT",
               Code::kUnsupported);
  }

  LoraMatrix ReadModule(const std::string& name, const Module& module) const {
    const auto at = slots_.find(name);
    if (at == slots_.end())
      throw Error(Code::kBadInput, "{}: an adapter of {}, which a model of {} layers of {} has not",
                  folder_, Quoted(name), targets_.hparams().layers, family_->arch);
    LoraMatrix matrix = targets_.Get(folder_, at->second.first, at->second.second);
    for (const Part part : {kA, kB})
      if (!module.parts[part])
        throw Error(Code::kBadInput, "{}: {}: lora_{} is missing", folder_, Quoted(name),
                    part == kA ? "A" : "B");
    const auto config_rank = static_cast<double>(config_.GetInt("r"));
    const double rank = ranks_.Find(module.path).value_or(config_rank);
    const SafetensorsTensor &a = *module.parts[kA], &b = *module.parts[kB];
    if (a.shape.size() != 2 || rank < 1 || static_cast<double>(a.shape[0]) != rank)
      FailTensor(a.name, fmt::format("expected rank {} as adapter_config.json has it", rank));
    matrix.rank = a.shape[0];
    matrix.a = Decode(a, {matrix.rank, matrix.in});
    matrix.b = Decode(b, {matrix.out, matrix.rank});
    matrix.scale = Scale(module, rank);
    const bool is_dora = config_.FindBool("use_dora").value_or(false);
    if (is_dora != (module.parts[kMagnitude] != nullptr))
      throw Error(Code::kBadInput, "{}: {}: use_dora is {}, but lora_magnitude_vector is {}",
                  folder_, Quoted(name), is_dora, is_dora ? "missing" : "there");
    if (is_dora) matrix.magnitude = Decode(*module.parts[kMagnitude], {matrix.out});
    Permute(&matrix);
    return matrix;
  }

  float Scale(const Module& module, double rank) const {
    const double alpha = alphas_.Find(module.path).value_or(config_.GetFloat("lora_alpha"));
    const bool is_rank_stabilised = config_.FindBool("use_rslora").value_or(false);
    const auto scale = alpha / (is_rank_stabilised ? std::sqrt(rank) : rank);
    if (std::fabs(scale) > double{std::numeric_limits<float>::max()})
      config_.Fail("lora_alpha", fmt::format("{}, of {}, is too large", alpha, module.path));
    return static_cast<float>(scale);
  }

  std::vector<float> Decode(const SafetensorsTensor& tensor,
                            const std::vector<int64_t>& shape) const {
    if (tensor.shape != shape)
      FailTensor(tensor.name, fmt::format("expected shape {}, as the model asks for, got {}",
                                          ShapeText(shape), ShapeText(tensor.shape)));
    if (!tensor.type->decode)
      FailTensor(tensor.name, fmt::format("elements of type {}", tensor.type->name),
                 Code::kUnsupported);
    std::vector<float> values(static_cast<size_t>(tensor.elements));
    tensor.type->decode(tensor.data.data(), values.data(), tensor.elements);
    if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }))
      FailTensor(tensor.name, "expected finite numbers");
    return values;
  }

  void Permute(LoraMatrix* matrix) const {
    if (!family_->permutes_qk || (matrix->slot != Slot::kAttnQ && matrix->slot != Slot::kAttnK))
      return;
    const auto rows = [&](std::vector<float>* values, int64_t row_size) {
      const std::vector<float> from = *values;
      for (int64_t row = 0; row < matrix->out; ++row)
        std::copy_n(from.begin() + HfRowOfGgufRow(row, targets_.hparams().head_dim) * row_size,
                    row_size, values->begin() + row * row_size);
    };
    rows(&matrix->b, matrix->rank);
    if (!matrix->magnitude.empty()) rows(&matrix->magnitude, 1);
  }

  const std::string& folder_;
  const model::LoraTargets& targets_;
  const Config config_;
  const format::Safetensors& tensors_;
  const Patterns ranks_, alphas_;
  const HfFamily* family_ = nullptr;
  std::map<std::string, std::pair<Slot, int64_t>> slots_;
};

}  // namespace

model::Lora ReadPeftLora(const std::string& folder, const model::LoraTargets& targets) {
  const std::string path = (std::filesystem::path(folder) / kConfig).string();
  return ParsePeftLora(folder, ReadWholeFile(path),
                       format::Safetensors::OpenFolder(folder, "adapter_model"), targets);
}

model::Lora ParsePeftLora(const std::string& folder, std::string_view config,
                          const format::Safetensors& tensors, const model::LoraTargets& targets) {
  const std::string path = (std::filesystem::path(folder) / kConfig).string();
  return Reader(folder, Config(path, text::ParseSortedJson(config, path)), tensors, targets).Read();
}

}  // namespace slm::convert
