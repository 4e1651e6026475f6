#include "model/hparams.h"

#include <cmath>

#include "base/error.h"

namespace slm::model {
namespace {

// No dimension of a model that this program is for comes near; products of two stay far from
// overflow.
constexpr int64_t kMaxDimension = int64_t{1} << 24;

class Reader {
 public:
  Reader(const format::GgufFile& file, std::string_view arch)
      : file_(file), prefix_(std::string(arch) + ".") {}

  std::string Key(std::string_view name) const { return prefix_ + std::string(name); }
  const format::GgufMetadata& metadata() const { return file_.metadata(); }

  int64_t Dimension(std::string_view name) const {
    return Checked(name, metadata().GetInt(Key(name)), 1);
  }
  int64_t DimensionOr(std::string_view name, int64_t otherwise, int64_t least = 1) const {
    const auto value = metadata().FindInt(Key(name));
    return value ? Checked(name, *value, least) : otherwise;
  }
  // Some writers give one number per layer; only equal ones are supported.
  int64_t PerLayer(std::string_view name, int64_t otherwise) const {
    const format::GgufValue* value = metadata().Find(Key(name));
    if (!value) return otherwise;
    if (!value->is_array) return Dimension(name);
    const std::vector<int64_t> values = metadata().GetInts(Key(name));
    for (int64_t v : values)
      if (v != values[0])
        throw Error(Code::kUnsupported, "{}: {} differs between layers", file_.path(), Key(name));
    if (values.empty()) throw Error(Code::kBadInput, "{}: {} is empty", file_.path(), Key(name));
    return Checked(name, values[0], 1);
  }
  float FloatOr(std::string_view name, float otherwise) const {
    const float value = metadata().FindFloat(Key(name)).value_or(otherwise);
    if (!std::isfinite(value))
      throw Error(Code::kBadInput, "{}: {} is not finite", file_.path(), Key(name));
    return value;
  }
  [[noreturn]] void Fail(std::string_view name, const std::string& problem) const {
    throw Error(Code::kBadInput, "{}: {}: {}", file_.path(), Key(name), problem);
  }

 private:
  int64_t Checked(std::string_view name, int64_t value, int64_t least) const {
    if (value < least || value > kMaxDimension)
      Fail(name, fmt::format("expected {} to {}, got {}", least, kMaxDimension, value));
    return value;
  }

  const format::GgufFile& file_;
  std::string prefix_;
};

float YarnMscale(float factor, float multiplier) {
  return factor <= 1 ? 1.0f : 0.1f * multiplier * std::log(factor) + 1.0f;
}

void ReadRope(const Reader& in, const Family& family, Hparams* h) {
  h->rope_dim = in.DimensionOr("rope.dimension_count", h->head_dim);
  if (h->rope_dim % 2 != 0 || h->rope_dim > h->head_dim)
    in.Fail("rope.dimension_count",
            fmt::format("expected an even number up to {}, got {}", h->head_dim, h->rope_dim));
  h->rope_base = in.FloatOr("rope.freq_base", family.rope_base);
  h->window_rope_base = in.FloatOr("rope.freq_base_swa", family.window_rope_base);
  if (h->rope_base <= 0 || h->window_rope_base < 0) in.Fail("rope.freq_base", "must be positive");
  h->original_context = in.DimensionOr("rope.scaling.original_context_length", 0, 0);
  h->rope_attn_factor = in.FloatOr("rope.scaling.attn_factor", 1.0f);

  // Files from before rope.scaling have scale_linear; a factor without a type is linear.
  h->rope_factor = in.FloatOr("rope.scaling.factor", in.FloatOr("rope.scale_linear", 1.0f));
  const std::string type(in.metadata()
                             .FindString(in.Key("rope.scaling.type"))
                             .value_or(h->rope_factor == 1 ? "none" : "linear"));
  if (h->rope_factor <= 0) in.Fail("rope.scaling.factor", "must be positive");
  if (type == "none") {
    h->rope_factor = 1.0f;
  } else if (type == "linear") {
    h->rope_scaling = RopeScaling::kLinear;
  } else if (type == "yarn") {
    h->rope_scaling = RopeScaling::kYarn;
    if (h->original_context == 0) in.Fail("rope.scaling.original_context_length", "YaRN needs it");
    h->yarn_beta_fast = in.FloatOr("rope.scaling.yarn_beta_fast", 32.0f);
    h->yarn_beta_slow = in.FloatOr("rope.scaling.yarn_beta_slow", 1.0f);
    // transformers: mscale(factor, 1) / mscale(factor, mscale_all_dim); without the latter,
    // mscale(factor, 1).
    const float all_dim = in.FloatOr("rope.scaling.yarn_log_multiplier", 0.0f);
    h->rope_attn_factor *= YarnMscale(h->rope_factor, 1.0f);
    if (all_dim != 0) h->rope_attn_factor /= YarnMscale(h->rope_factor, all_dim);
  } else if (type == "longrope") {
    h->rope_scaling = RopeScaling::kLong;
  } else {
    throw Error(Code::kUnsupported,
                "{}: rope scaling \"{}\" is not supported; none, linear, yarn and longrope are",
                in.Key("rope.scaling.type"), type);
  }
}

void ReadWindow(const Reader& in, const Family& family, Hparams* h) {
  h->window = in.DimensionOr("attention.sliding_window", family.window, 0);
  h->window_period = family.window_period;
  const std::string key = "attention.sliding_window_pattern";
  const format::GgufValue* pattern = in.metadata().Find(in.Key(key));
  if (!pattern) return;
  if (!pattern->is_array) {
    h->window_period = in.DimensionOr(key, family.window_period, 0);
    return;
  }
  // One flag per layer: must be a period that Hparams can say.
  const std::vector<bool> flags = in.metadata().GetBools(in.Key(key));
  if (static_cast<int64_t>(flags.size()) != h->layers)
    in.Fail(key, fmt::format("{} flags for {} layers", flags.size(), h->layers));
  int64_t period = 0;
  while (period < static_cast<int64_t>(flags.size()) && flags[static_cast<size_t>(period)])
    ++period;
  h->window_period = period == static_cast<int64_t>(flags.size()) ? 0 : period + 1;
  for (size_t i = 0; i < flags.size(); ++i)
    if (flags[i] != h->IsWindowLayer(static_cast<int64_t>(i))) in.Fail(key, "is not periodic");
}

}  // namespace

Hparams ReadHparams(const format::GgufFile& file, const Family& family) {
  const Reader in(file, family.arch);
  Hparams h;
  h.layers = in.Dimension("block_count");
  h.d_model = in.Dimension("embedding_length");
  h.ffn = in.PerLayer("feed_forward_length", 0);
  if (h.ffn == 0) in.Dimension("feed_forward_length");  // says that it is missing
  h.heads = in.PerLayer("attention.head_count", 0);
  if (h.heads == 0) in.Dimension("attention.head_count");
  h.kv_heads = in.PerLayer("attention.head_count_kv", h.heads);
  if (h.heads % h.kv_heads != 0)
    in.Fail("attention.head_count_kv",
            fmt::format("{} does not divide the {} heads", h.kv_heads, h.heads));
  if (h.d_model % h.heads != 0 && !in.metadata().Has(in.Key("attention.key_length")))
    in.Fail("attention.key_length", "missing, and the heads do not divide embedding_length");
  h.head_dim = in.DimensionOr("attention.key_length", h.d_model / h.heads);
  if (in.DimensionOr("attention.value_length", h.head_dim) != h.head_dim)
    throw Error(Code::kUnsupported, "{}: keys and values of different lengths", file.path());
  h.context = in.Dimension("context_length");
  h.eps = in.FloatOr("attention.layer_norm_rms_epsilon", -1.0f);
  if (h.eps < 0) in.Fail("attention.layer_norm_rms_epsilon", "missing or negative");
  h.attn_softcap = in.FloatOr("attn_logit_softcapping", family.attn_softcap);
  h.final_softcap = in.FloatOr("final_logit_softcapping", family.final_softcap);
  h.temperature_scale = in.FloatOr("attention.temperature_scale", 0.0f);

  const bool is_wide = family.wide_query_scale_layers == h.layers;
  const int64_t scale_dim = is_wide ? h.d_model / h.heads : h.head_dim;
  h.query_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(scale_dim)));
  ReadRope(in, family, &h);
  ReadWindow(in, family, &h);
  if (h.temperature_scale != 0 && h.original_context == 0)
    in.Fail("rope.scaling.original_context_length",
            "missing, and attention.temperature_scale needs it");

  const format::GgufTensor& embedding = file.Get("token_embd.weight");
  h.vocab = embedding.dims[1];
  return h;
}

float EmbeddingScale(const Family& family, const Hparams& hparams) {
  if (!family.scales_embedding) return 1;
  return static_cast<float>(std::sqrt(static_cast<double>(hparams.d_model)));
}

}  // namespace slm::model
