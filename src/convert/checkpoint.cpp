#include "convert/checkpoint.h"

#include <filesystem>
#include <map>

#include "base/error.h"
#include "text/json.h"

namespace slm::convert {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// As vLLM has it, where params.json says nothing.
constexpr int kMistralContext = 128'000;

bool HasFile(const fs::path& folder, const std::string& name) {
  std::error_code ignored;
  return fs::is_regular_file(folder / name, ignored);
}

bool HasWeights(const fs::path& folder, const std::string& stem) {
  if (HasFile(folder, stem + ".safetensors")) return true;
  if (HasFile(folder, stem + ".safetensors.index.json")) return true;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().starts_with(stem + "-00001-of-")) return true;
  return false;
}

// Published FP8 checkpoints and those of 4 bits of bitsandbytes, which CheckpointTensors reads, and
// nothing else.
void CheckQuantization(const Config& config) {
  const auto quantization = config.FindObject("quantization_config");
  if (!quantization) return;
  const std::string method = quantization->FindString("quant_method").value_or("unknown");
  const std::string format = quantization->FindString("format").value_or("");
  if (method == "fp8") return;
  if (method == "compressed-tensors" && format == "float-quantized") return;
  if (method == "bitsandbytes" && quantization->FindBool("load_in_4bit").value_or(false)) return;
  throw Error(
      Code::kUnsupported,
      "{}: a checkpoint quantized with {}{} is not converted; take the one it was made from",
      config.path(), method, format.empty() ? "" : " (" + format + ")");
}

// auto_map names code in the checkpoint's own .py files, or in those of the one that it was tuned
// from. That of Phi-3.5 and Phi-4-mini is the one that transformers took in under the same names;
// any other may compute something else.
void CheckRemoteCode(const Config& config, const std::string& class_name) {
  const auto map = config.FindObject("auto_map");
  if (!map) return;
  const std::string known =
      "modeling_" + config.FindString("model_type").value_or("") + "." + class_name;
  for (const auto& [key, value] : map->json().items()) {
    if (!key.starts_with("AutoModelForCausalLM")) continue;
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    const size_t origin = text.starts_with("microsoft/") ? text.find("--") : std::string::npos;
    if (text.substr(origin == std::string::npos ? 0 : origin + 2) != known)
      throw Error(Code::kUnsupported,
                  "{}: auto_map: the model is code of its own, {}, which slm does not run",
                  config.path(), text);
  }
}

const HfFamily& FindFamily(const Config& config) {
  const json* classes = config.Find("architectures");
  if (!classes || !classes->is_array() || classes->empty() || !classes->front().is_string())
    config.Fail("architectures", "expected a list with the name of a class");
  const auto name = classes->front().get<std::string>();
  const HfFamily* family = FindHfClass(name);
  CheckRemoteCode(config, name);
  if (!family)
    throw Error(Code::kUnsupported, "{}: unknown architecture \"{}\"; known are {}", config.path(),
                name, HfClassNames());
  return *family;
}

void SetDefaults(const HfFamily& family, Config* config) {
  if (family.defaults) config->AddDefaults(text::ParseSortedJson(family.defaults, "defaults"));
}

Checkpoint OpenTransformers(const std::string& folder) {
  Config config = Config::Read(fs::path(folder) / "config.json");
  CheckQuantization(config);
  const HfFamily& family = FindFamily(config);
  if (const auto text = config.FindObject("text_config")) {
    CheckQuantization(*text);
    config.Merge(text->json());
  }
  const std::string type = config.FindString("model_type").value_or("");
  bool is_known = type.empty();
  for (const std::string_view known : family.model_types) is_known |= known == type;
  if (!is_known)
    throw Error(Code::kUnsupported, "{}: model_type \"{}\" is not supported for {}", config.path(),
                type, family.arch);
  SetDefaults(family, &config);
  return {folder,
          Form::kTransformers,
          &family,
          std::move(config),
          format::Safetensors::OpenFolder(folder, "model"),
          {}};
}

// Mistral's names for what config.json says.
Config FromMistral(const Config& params) {
  json out = json::object();
  std::map<std::string, std::string> names;
  const auto take = [&](const char* from, const char* to) {
    if (const json* value = params.Find(from)) out[to] = *value;
    if (!names.contains(to)) names[to] = from;
  };
  take("dim", "hidden_size");
  take("n_layers", "num_hidden_layers");
  take("head_dim", "head_dim");
  take("hidden_dim", "intermediate_size");
  take("n_heads", "num_attention_heads");
  take("n_kv_heads", "num_key_value_heads");
  take("norm_eps", "rms_norm_eps");
  take("vocab_size", "vocab_size");
  take("rope_theta", "rope_theta");
  take("tied_embeddings", "tie_word_embeddings");
  take("sliding_window", "sliding_window");
  take("max_seq_len", "max_position_embeddings");
  take("max_position_embeddings", "max_position_embeddings");
  if (const auto yarn = params.FindObject("yarn")) {
    json rope = {{"rope_type", "yarn"}};
    // Without, queries and keys are not scaled.
    if (!yarn->FindBool("apply_scale").value_or(false)) rope["mscale"] = rope["mscale_all_dim"] = 1;
    rope["factor"] = yarn->GetFloat("factor");
    rope["beta_fast"] = yarn->GetFloat("beta");
    rope["beta_slow"] = yarn->GetFloat("alpha");
    rope["original_max_position_embeddings"] = yarn->GetInt("original_max_position_embeddings");
    out["rope_parameters"] = rope;
  }
  if (const auto scaling = params.FindObject("llama_4_scaling")) {
    if (!out.contains("rope_parameters")) params.Fail("yarn", "missing beside llama_4_scaling");
    out["rope_parameters"]["llama_4_scaling_beta"] = scaling->GetFloat("beta");
  }
  return Config(params.path(), std::move(out), std::move(names));
}

Checkpoint OpenMistral(const std::string& folder) {
  const Config params = Config::Read(fs::path(folder) / "params.json");
  if (params.Find("moe"))
    throw Error(Code::kUnsupported, "{}: a mixture of experts is not supported", params.path());
  if (const auto quantization = params.FindObject("quantization")) {
    const std::string format = quantization->FindString("qformat_weight").value_or("unknown");
    if (format != "fp8_e4m3")
      throw Error(Code::kUnsupported, "{}: quantization: {} is not converted", params.path(),
                  format);
  }
  const HfFamily* family = FindHfArch(params.Find("llama_4_scaling") ? "mistral3" : "llama");
  Config config = FromMistral(params);
  SetDefaults(*family, &config);
  std::vector<std::string> notices;
  if (!config.Find("max_position_embeddings")) {
    config.Merge({{"max_position_embeddings", kMistralContext}});
    notices.push_back(
        fmt::format("params.json has no max_seq_len: the context is taken as {}", kMistralContext));
  }
  return {folder,
          Form::kMistral,
          family,
          std::move(config),
          format::Safetensors::OpenFolder(folder, "consolidated"),
          std::move(notices)};
}

}  // namespace

Checkpoint OpenCheckpoint(const std::string& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    throw Error(Code::kBadInput, "{}: expected a folder with a checkpoint", folder);
  if (HasFile(folder, "config.json") && HasWeights(folder, "model"))
    return OpenTransformers(folder);
  if (HasFile(folder, "params.json") && HasWeights(folder, "consolidated"))
    return OpenMistral(folder);
  // Says which quantization or architecture it is before it says that weights are missing.
  if (HasFile(folder, "config.json")) return OpenTransformers(folder);
  throw Error(Code::kBadInput,
              "{}: expected config.json and model.safetensors, or Mistral's params.json and "
              "consolidated.safetensors",
              folder);
}

}  // namespace slm::convert
