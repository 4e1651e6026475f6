#include "convert/rope_from_config.h"

#include <cmath>

#include "base/error.h"
#include "convert/llama3_rope.h"

namespace slm::convert {
namespace {

bool IsLongRope(const std::string& type) { return type == "longrope" || type == "su"; }

// Beside the model's other numbers it counts more than among rope's.
int64_t OriginalContext(const Checkpoint& checkpoint, const RopeConfig& rope) {
  constexpr const char* kKey = "original_max_position_embeddings";
  auto value = checkpoint.config.FindInt(kKey);
  if (!value) value = rope.params.FindInt(kKey);
  // transformers takes max_position_embeddings, the reference converter 8192.
  if (!value && rope.type == "llama3") rope.params.Fail(kKey, "missing");
  const int64_t context = value ? *value : checkpoint.config.GetInt("max_position_embeddings");
  if (context < 1) rope.params.Fail(kKey, "expected at least 1");
  return context;
}

double Positive(const RopeConfig& rope, const char* key, double value) {
  if (!(value > 0 && std::isfinite(value)))
    rope.params.Fail(key, fmt::format("expected a positive number, got {}", value));
  return value;
}

// What long rope multiplies cos and sin by.
double LongRopeAttention(const RopeConfig& rope, int64_t context, int64_t original) {
  if (const auto given = rope.params.FindFloat("attention_factor"))
    return Positive(rope, "attention_factor", *given);
  const double stretch = rope.params.FindFloat("factor").value_or(static_cast<double>(context) /
                                                                  static_cast<double>(original));
  return stretch <= 1 ? 1.0
                      : std::sqrt(1 + std::log(stretch) / std::log(static_cast<double>(original)));
}

double YarnMscale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1;
}

// Runtimes multiply cos and sin by mscale(factor, 1) and rope.scaling.attn_factor. Those of
// mistral3 also divide by mscale(factor, yarn_log_multiplier).
void WriteYarnAttention(const RopeConfig& rope, double factor, bool has_multiplier,
                        MetadataWriter* out) {
  const double usual = YarnMscale(factor, 1);
  const auto given = rope.params.FindFloat("attention_factor");
  const double mscale = rope.params.FindFloat("mscale").value_or(0);
  const double all_dim = rope.params.FindFloat("mscale_all_dim").value_or(0);
  double attention = usual;
  if (given) {
    attention = *given;
  } else if (mscale != 0 && all_dim != 0) {
    if (mscale == 1 && has_multiplier)
      return out->Float("rope.scaling.yarn_log_multiplier", all_dim);
    attention = YarnMscale(factor, mscale) / YarnMscale(factor, all_dim);
  }
  Positive(rope, given ? "attention_factor" : "mscale", attention);
  if (attention != usual) out->Float("rope.scaling.attn_factor", attention / usual);
}

void WriteYarn(const Checkpoint& checkpoint, const RopeConfig& rope, MetadataWriter* out) {
  const double factor = Positive(rope, "factor", rope.params.GetFloat("factor"));
  out->String("rope.scaling.type", "yarn");
  out->Float("rope.scaling.factor", factor);
  out->Int("rope.scaling.original_context_length", OriginalContext(checkpoint, rope));
  constexpr std::pair<const char*, const char*> kOptional[] = {
      {"extrapolation_factor", "rope.scaling.yarn_ext_factor"},
      {"beta_fast", "rope.scaling.yarn_beta_fast"},
      {"beta_slow", "rope.scaling.yarn_beta_slow"}};
  for (const auto& [from, to] : kOptional)
    if (const auto value = rope.params.FindFloat(from)) out->Float(to, *value);
  WriteYarnAttention(rope, factor, checkpoint.family->arch == "mistral3", out);
  if (!rope.params.FindBool("truncate").value_or(true))
    throw Error(Code::kUnsupported, "{}: YaRN with \"truncate\": false: GGUF cannot say it",
                checkpoint.config.path());
}

void WriteScaling(const Checkpoint& checkpoint, const model::Hparams& hparams,
                  const RopeConfig& rope, MetadataWriter* out, std::vector<std::string>* notices) {
  const std::string_view arch = checkpoint.family->arch;
  if (arch == "phi3") {
    const int64_t original = OriginalContext(checkpoint, rope);
    out->Int("rope.scaling.original_context_length", original);
    if (IsLongRope(rope.type))
      out->Float("rope.scaling.attn_factor", LongRopeAttention(rope, hparams.context, original));
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

std::vector<float> Llama3Values(const Checkpoint& checkpoint, const model::Hparams& hparams,
                                const RopeConfig& rope) {
  Llama3Scaling scaling;
  scaling.original_context = static_cast<double>(OriginalContext(checkpoint, rope));
  scaling.factor = rope.params.GetFloat("factor");
  scaling.low_freq_factor = rope.params.GetFloat("low_freq_factor");
  scaling.high_freq_factor = rope.params.GetFloat("high_freq_factor");
  if (scaling.factor <= 0 || scaling.low_freq_factor <= 0 ||
      scaling.high_freq_factor <= scaling.low_freq_factor)
    rope.params.Fail("factor", "expected factor > 0 and 0 < low_freq_factor < high_freq_factor");
  return Llama3Factors(scaling, rope.base, hparams.rope_dim);
}

}  // namespace

RopeConfig ReadRope(const Config& config) {
  auto params = config.FindObject("rope_parameters");
  if (!params) params = config.FindObject("rope_scaling");
  RopeConfig rope{.params = params.value_or(Config(config.path(), nlohmann::json::object()))};
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

void WriteRope(const Checkpoint& checkpoint, const model::Hparams& hparams, MetadataWriter* out,
               std::vector<std::string>* notices) {
  const RopeConfig rope = ReadRope(checkpoint.config);
  if (rope.base == 0) checkpoint.config.Fail("rope_theta", "missing");
  const HfFamily& family = *checkpoint.family;
  WriteScaling(checkpoint, hparams, rope, out, notices);
  const double usual = static_cast<double>(model::FindFamily(family.arch, "").rope_base);
  if (family.writes_rope_base || rope.base != usual) out->Float("rope.freq_base", rope.base);
  if (family.writes_rope_base && rope.window_base)
    out->Float("rope.freq_base_swa", *rope.window_base);
  if (const auto beta = rope.params.FindFloat("llama_4_scaling_beta"))
    out->Float("attention.temperature_scale", *beta);
}

std::vector<RopeTensor> MakeRopeTensors(const Checkpoint& checkpoint,
                                        const model::Hparams& hparams) {
  const RopeConfig rope = ReadRope(checkpoint.config);
  std::vector<RopeTensor> tensors;
  if (rope.type == "llama3" && checkpoint.family->arch == "llama")
    tensors.push_back({model::Slot::kRopeFreqs, Llama3Values(checkpoint, hparams, rope)});
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
