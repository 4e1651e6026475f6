#include "convert/class_checks.h"

#include <algorithm>

#include "base/error.h"
#include "model/family.h"

namespace slm::convert {
namespace {

[[noreturn]] void Refuse(const Checkpoint& checkpoint, const char* key,
                         const std::string& problem) {
  throw Error(Code::kUnsupported, "{}: {}: {}", checkpoint.config.path(), key, problem);
}

void CheckActivation(const Checkpoint& checkpoint, bool is_gelu) {
  const char* key = is_gelu ? "hidden_activation" : "hidden_act";
  const auto name = checkpoint.config.FindString(key);
  const bool is_known =
      !name || (is_gelu ? *name == "gelu_pytorch_tanh" : *name == "silu" || *name == "swish");
  if (!is_known)
    Refuse(checkpoint, key,
           fmt::format("expected {} for {}, got {}", is_gelu ? "gelu_pytorch_tanh" : "silu",
                       checkpoint.family->arch, *name));
}

// A window by layer that GGUF does not list must be where the runtime has it.
void CheckWindow(const Checkpoint& checkpoint, const model::Family& family, int64_t count) {
  const std::vector<bool> layers = WindowLayers(checkpoint, count);
  const bool has_any = std::find(layers.begin(), layers.end(), true) != layers.end();
  if (!has_any && family.window == 0) return;  // it is left out then
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto period = static_cast<size_t>(family.window_period);
    if (layers[i] != (i % period < period - 1))
      Refuse(checkpoint, "layer_types",
             fmt::format("layer {}: expected a window in all but the last of every {} layers", i,
                         period));
  }
}

}  // namespace

void CheckClass(const Checkpoint& checkpoint, const model::Hparams& h) {
  const Config& config = checkpoint.config;
  const model::Family& family = model::FindFamily(checkpoint.family->arch, config.path());
  CheckActivation(checkpoint, family.activation == ops::Activation::kGelu);
  if (config.FindBool("use_bidirectional_attention").value_or(false))
    Refuse(checkpoint, "use_bidirectional_attention", "expected false");
  if (!config.FindBool("is_causal").value_or(true))
    Refuse(checkpoint, "is_causal", "expected true");
  if (family.window_period > 0) CheckWindow(checkpoint, family, h.layers);
  if (!family.scales_embedding) return;

  // What follows is Gemma's.
  const int64_t scale_dim =
      family.wide_query_scale_layers == h.layers ? h.d_model / h.heads : h.head_dim;
  const double scalar = config.GetFloat("query_pre_attn_scalar");
  if (scalar != static_cast<double>(scale_dim))
    Refuse(checkpoint, "query_pre_attn_scalar",
           fmt::format("expected {}, which runtimes take for {} layers of {}, got {}", scale_dim,
                       h.layers, family.arch, scalar));
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"})
    if (family.attn_softcap != 0 && config.FindFloat(key).value_or(0) <= 0)
      Refuse(checkpoint, key, fmt::format("runtimes cap the logits of {} always", family.arch));
}

std::vector<bool> WindowLayers(const Checkpoint& checkpoint, int64_t layers) {
  const Config& config = checkpoint.config;
  std::vector<bool> has_window(static_cast<size_t>(layers), true);
  if (const auto* types = config.Find("layer_types")) {
    if (!types->is_array() || types->size() != has_window.size())
      config.Fail("layer_types", fmt::format("expected a list of {}", layers));
    for (size_t i = 0; i < has_window.size(); ++i) {
      const auto& type = (*types)[i];
      const std::string name = type.is_string() ? type.get<std::string>() : type.dump();
      has_window[i] = name == "sliding_attention";
      if (!has_window[i] && name != "full_attention")
        Refuse(checkpoint, "layer_types",
               fmt::format("layer {}: expected sliding_attention or full_attention", i));
    }
    return has_window;
  }
  const bool is_qwen = checkpoint.family->window == HfWindow::kQwen;
  int64_t period = model::FindFamily(checkpoint.family->arch, config.path()).window_period;
  if (checkpoint.family->arch == "gemma3")
    period = config.FindInt("sliding_window_pattern").value_or(period);
  const int64_t first = is_qwen ? config.FindInt("max_window_layers").value_or(0) : 0;
  for (int64_t i = 0; i < layers; ++i)
    has_window[static_cast<size_t>(i)] = i >= first && (period == 0 || (i + 1) % period != 0);
  if (is_qwen && !config.FindBool("use_sliding_window").value_or(false))
    has_window.assign(has_window.size(), false);
  return has_window;
}

}  // namespace slm::convert
