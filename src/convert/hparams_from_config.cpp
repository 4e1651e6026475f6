#include "convert/hparams_from_config.h"

#include <algorithm>

#include "base/error.h"
#include "convert/class_checks.h"
#include "convert/metadata_writer.h"
#include "convert/rope_from_config.h"

namespace slm::convert {
namespace {

constexpr int64_t kMaxDimension = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 1 << 14;

int64_t Dimension(const Config& config, std::string_view key, int64_t most = kMaxDimension) {
  const int64_t value = config.GetInt(key);
  if (value < 1 || value > most)
    config.Fail(key, fmt::format("expected 1 to {}, got {}", most, value));
  return value;
}

void WriteWindow(const Checkpoint& checkpoint, const model::Hparams& hparams, MetadataWriter* out,
                 std::vector<std::string>* notices) {
  const Config& config = checkpoint.config;
  const int64_t window = config.FindInt("sliding_window").value_or(0);
  const std::vector<bool> layers = WindowLayers(checkpoint, hparams.layers);
  const bool is_used = std::find(layers.begin(), layers.end(), true) != layers.end();
  if (checkpoint.family->writes_window) {
    // Phi-3 writes the absence, as 0; llama.cpp tells Phi-4 by it.
    if (window == 0 && checkpoint.family->arch != "phi3") config.Fail("sliding_window", "missing");
    if (is_used) out->Int("attention.sliding_window", window);
    return;
  }
  if (is_used && window > 0 && window < hparams.context)
    notices->push_back(fmt::format(
        "sliding_window of {} is not carried over, GGUF has none for {}: beyond it the model will "
        "differ",
        window, checkpoint.family->arch));
}

}  // namespace

model::Hparams HparamsOf(const Checkpoint& checkpoint) {
  const Config& config = checkpoint.config;
  model::Hparams h;
  h.layers = Dimension(config, "num_hidden_layers", kMaxLayers);
  h.d_model = Dimension(config, "hidden_size");
  h.ffn = Dimension(config, "intermediate_size");
  h.heads = Dimension(config, "num_attention_heads");
  h.kv_heads =
      config.Find("num_key_value_heads") ? Dimension(config, "num_key_value_heads") : h.heads;
  if (h.heads % h.kv_heads != 0)
    config.Fail("num_key_value_heads",
                fmt::format("{} does not divide the {} heads", h.kv_heads, h.heads));
  if (config.Find("head_dim")) {
    h.head_dim = Dimension(config, "head_dim");
  } else if (h.d_model % h.heads == 0) {
    h.head_dim = h.d_model / h.heads;
  } else {
    config.Fail("num_attention_heads",
                fmt::format("{} does not divide hidden_size, {}", h.heads, h.d_model));
  }
  h.vocab = Dimension(config, "vocab_size");
  h.context = Dimension(config, "max_position_embeddings", INT32_MAX);
  h.eps = static_cast<float>(config.GetFloat("rms_norm_eps"));

  h.rope_dim = h.head_dim;
  if (checkpoint.family->writes_rope_dim) {
    const auto in_rope = ReadRope(config).params.FindFloat("partial_rotary_factor");
    const double share =
        in_rope ? *in_rope : config.FindFloat("partial_rotary_factor").value_or(1.0);
    if (share <= 0 || share > 1) config.Fail("partial_rotary_factor", "expected up to 1");
    if (share < 1)
      h.rope_dim = static_cast<int64_t>(share * static_cast<double>(h.d_model)) / h.heads;
  }
  if (h.rope_dim < 2 || h.rope_dim % 2 != 0)
    config.Fail("head_dim",
                fmt::format("expected an even number of rotated dimensions, got {}", h.rope_dim));
  return h;
}

void WriteHparams(const Checkpoint& checkpoint, const model::Hparams& h, format::GgufWriter* writer,
                  std::vector<std::string>* notices) {
  const HfFamily& family = *checkpoint.family;
  const Config& config = checkpoint.config;
  MetadataWriter out(family.arch, writer);
  out.Int("block_count", h.layers);
  out.Int("context_length", h.context);
  out.Int("embedding_length", h.d_model);
  out.Int("feed_forward_length", h.ffn);
  out.Int("attention.head_count", h.heads);
  out.Int("attention.head_count_kv", h.kv_heads);
  out.Int("vocab_size", h.vocab);
  out.Float("attention.layer_norm_rms_epsilon", config.GetFloat("rms_norm_eps"));
  if (family.writes_head_dim || (config.Find("head_dim") && !family.fuses)) {
    out.Int("attention.key_length", h.head_dim);
    out.Int("attention.value_length", h.head_dim);
  }

  WriteRope(checkpoint, h, &out, notices);
  if (family.writes_rope_dim) out.Int("rope.dimension_count", h.rope_dim);

  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"})
    if (const auto cap = config.FindFloat(key)) out.Float(key, *cap);
  WriteWindow(checkpoint, h, &out, notices);
}

}  // namespace slm::convert
