#include "convert/hparams_from_config.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

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

bool IsLongRope(const std::string& type) { return type == "longrope" || type == "su"; }

int64_t OriginalContext(const Checkpoint& checkpoint, const RopeConfig& rope) {
  const auto value = rope.params.FindInt("original_max_position_embeddings");
  const int64_t context = value
                              ? *value
                              : checkpoint.config.FindInt("original_max_position_embeddings")
                                    .value_or(checkpoint.config.GetInt("max_position_embeddings"));
  if (context < 1) rope.params.Fail("original_max_position_embeddings", "expected at least 1");
  return context;
}

// Phi-3's, as its converter has it: sqrt(1 + ln(scale) / ln(original)).
double LongRopeAttention(int64_t context, int64_t original) {
  const double scale = static_cast<double>(context) / static_cast<double>(original);
  return scale <= 1 ? 1.0
                    : std::sqrt(1 + std::log(scale) / std::log(static_cast<double>(original)));
}

class MetadataWriter {
 public:
  MetadataWriter(std::string_view arch, format::GgufWriter* writer)
      : prefix_(std::string(arch) + "."), writer_(writer) {}

  void Int(const std::string& key, int64_t value) {
    writer_->Set<uint32_t>(prefix_ + key, static_cast<uint32_t>(value));
  }
  void Float(const std::string& key, double value) {
    writer_->Set<float>(prefix_ + key, static_cast<float>(value));
  }
  void String(const std::string& key, std::string_view value) {
    writer_->SetString(prefix_ + key, value);
  }

 private:
  std::string prefix_;
  format::GgufWriter* writer_;
};

void WriteYarn(const Checkpoint& checkpoint, const RopeConfig& rope, MetadataWriter* out) {
  out->String("rope.scaling.type", "yarn");
  out->Float("rope.scaling.factor", rope.params.GetFloat("factor"));
  out->Int("rope.scaling.original_context_length", OriginalContext(checkpoint, rope));
  constexpr std::pair<const char*, const char*> kOptional[] = {
      {"extrapolation_factor", "rope.scaling.yarn_ext_factor"},
      {"attention_factor", "rope.scaling.yarn_attn_factor"},
      {"beta_fast", "rope.scaling.yarn_beta_fast"},
      {"beta_slow", "rope.scaling.yarn_beta_slow"}};
  for (const auto& [from, to] : kOptional)
    if (const auto value = rope.params.FindFloat(from)) out->Float(to, *value);
}

void WriteRopeScaling(const Checkpoint& checkpoint, const model::Hparams& hparams,
                      const RopeConfig& rope, MetadataWriter* out,
                      std::vector<std::string>* notices) {
  const std::string_view arch = checkpoint.family->arch;
  if (arch == "phi3") {
    const int64_t original = OriginalContext(checkpoint, rope);
    out->Int("rope.scaling.original_context_length", original);
    if (IsLongRope(rope.type))
      out->Float("rope.scaling.attn_factor", LongRopeAttention(hparams.context, original));
  }
  if (rope.type == "default" || (rope.type == "llama3" && arch == "llama") ||
      (IsLongRope(rope.type) && arch == "phi3")) {
    return;  // rope tensors say it, if there is anything to say
  }
  if (rope.type == "linear") {
    out->String("rope.scaling.type", "linear");
    out->Float("rope.scaling.factor", rope.params.GetFloat("factor"));
  } else if (rope.type == "yarn" && arch != "phi3") {
    WriteYarn(checkpoint, rope, out);
  } else if (rope.type == "dynamic") {
    notices->push_back(fmt::format(
        "dynamic rope scaling is not carried over: beyond {} tokens the model will differ",
        hparams.context));
  } else {
    throw Error(Code::kUnsupported, "{}: rope scaling \"{}\" is not supported for {}",
                checkpoint.config.path(), rope.type, arch);
  }
}

void WriteWindow(const Checkpoint& checkpoint, const model::Hparams& hparams, MetadataWriter* out,
                 std::vector<std::string>* notices) {
  const Config& config = checkpoint.config;
  const int64_t window = config.FindInt("sliding_window").value_or(0);
  if (checkpoint.family->writes_window) {
    // Phi-3 writes the absence, as 0; llama.cpp tells Phi-4 by it.
    if (window == 0 && checkpoint.family->arch != "phi3") config.Fail("sliding_window", "missing");
    if (config.FindInt("sliding_window_pattern").value_or(0) != 1)
      out->Int("attention.sliding_window", window);
    return;
  }
  const bool is_used = config.FindBool("use_sliding_window").value_or(true);
  if (is_used && window > 0 && window < hparams.context)
    notices->push_back(fmt::format(
        "sliding_window of {} is not carried over, GGUF has none for {}: beyond it the model will "
        "differ",
        window, checkpoint.family->arch));
}

// Llama 3: frequencies whose wavelength is beyond the original context are divided by `factor`,
// short ones kept, those between blended. In float, as PyTorch computes it. Reference:
// transformers, modeling_rope_utils.py, _compute_llama3_parameters.
std::vector<float> Llama3Factors(const Checkpoint& checkpoint, const model::Hparams& hparams,
                                 const RopeConfig& rope) {
  const double original = static_cast<double>(OriginalContext(checkpoint, rope));
  const double factor = rope.params.GetFloat("factor");
  const double low = rope.params.GetFloat("low_freq_factor");
  const double high = rope.params.GetFloat("high_freq_factor");
  if (factor <= 0 || low <= 0 || high <= low)
    rope.params.Fail("factor", "expected factor > 0 and 0 < low_freq_factor < high_freq_factor");
  std::vector<float> factors;
  for (int64_t i = 0; i < hparams.rope_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(hparams.rope_dim);
    const float frequency = 1.0f / std::pow(static_cast<float>(rope.base), exponent);
    const float wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
    if (wavelength < static_cast<float>(original / high)) {
      factors.push_back(1.0f);
    } else if (wavelength > static_cast<float>(original / low)) {
      factors.push_back(static_cast<float>(factor));
    } else {
      const float smooth = (static_cast<float>(original) / wavelength - static_cast<float>(low)) /
                           static_cast<float>(high - low);
      factors.push_back(1.0f / ((1.0f - smooth) / static_cast<float>(factor) + smooth));
    }
  }
  return factors;
}

}  // namespace

RopeConfig ReadRope(const Config& config) {
  auto params = config.FindObject("rope_parameters");
  if (!params) params = config.FindObject("rope_scaling");
  RopeConfig rope{.params =
                      params.value_or(Config(config.path(), nlohmann::ordered_json::object()))};
  const auto window = rope.params.FindObject("sliding_attention");
  if (window) rope.window_base = window->FindFloat("rope_theta");
  if (auto full = rope.params.FindObject("full_attention")) rope.params = *full;
  if (!rope.window_base) rope.window_base = config.FindFloat("rope_local_base_freq");
  const auto type = rope.params.FindString("rope_type");
  rope.type = type ? *type : rope.params.FindString("type").value_or("default");
  const auto base = rope.params.FindFloat("rope_theta");
  rope.base = base ? *base : config.FindFloat("rope_theta").value_or(0);
  if (rope.base < 0 || rope.window_base.value_or(1) <= 0)
    config.Fail("rope_theta", "must be positive");
  return rope;
}

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

  const RopeConfig rope = ReadRope(config);
  if (rope.base == 0) config.Fail("rope_theta", "missing");
  WriteRopeScaling(checkpoint, h, rope, &out, notices);
  if (family.writes_rope_base) out.Float("rope.freq_base", rope.base);
  if (family.writes_rope_base && rope.window_base)
    out.Float("rope.freq_base_swa", *rope.window_base);
  if (family.writes_rope_dim) out.Int("rope.dimension_count", h.rope_dim);
  if (const auto all_dim = rope.params.FindFloat("mscale_all_dim"); all_dim && rope.type == "yarn")
    out.Float("rope.scaling.yarn_log_multiplier", *all_dim);
  if (const auto beta = rope.params.FindFloat("llama_4_scaling_beta"))
    out.Float("attention.temperature_scale", *beta);

  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"})
    if (const auto cap = config.FindFloat(key)) out.Float(key, *cap);
  WriteWindow(checkpoint, h, &out, notices);
}

std::vector<RopeTensor> MakeRopeTensors(const Checkpoint& checkpoint,
                                        const model::Hparams& hparams) {
  const RopeConfig rope = ReadRope(checkpoint.config);
  std::vector<RopeTensor> tensors;
  if (rope.type == "llama3" && checkpoint.family->arch == "llama")
    tensors.push_back({model::Slot::kRopeFreqs, Llama3Factors(checkpoint, hparams, rope)});
  if (IsLongRope(rope.type) && checkpoint.family->arch == "phi3") {
    for (const auto& [key, slot] : {std::pair("long_factor", model::Slot::kRopeFactorsLong),
                                    std::pair("short_factor", model::Slot::kRopeFactorsShort)}) {
      const auto factors = rope.params.FindFloats(key);
      if (!factors) rope.params.Fail(key, "missing");
      if (static_cast<int64_t>(factors->size()) * 2 != hparams.rope_dim)
        rope.params.Fail(
            key, fmt::format("expected {} numbers, got {}", hparams.rope_dim / 2, factors->size()));
      tensors.push_back({slot, {factors->begin(), factors->end()}});
    }
  }
  return tensors;
}

}  // namespace slm::convert
