#include "convert/hf_config.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/llama3_rope.h"
#include "model/tensor_table.h"
#include "model/vocab.h"

namespace slm::convert {
namespace {

using model::Hparams;
using model::RopeScaling;
using nlohmann::ordered_json;

// 1e-06 and not 9.99999997e-07: the shortest decimal that means this float.
double Shortest(float value) {
  char text[32];
  const char* end = std::to_chars(text, text + sizeof text, value).ptr;
  double shortest = 0;
  std::from_chars(text, end, shortest);
  return shortest;
}

std::vector<float> ReadFactors(const format::GgufFile& file, model::Slot slot, const Hparams& h) {
  const model::TensorRow& row = model::TensorTable()[static_cast<size_t>(slot)];
  const format::GgufTensor* tensor = file.Find(model::TensorName(row, 0));
  if (!tensor) return {};
  if (tensor->elements != h.rope_dim / 2)
    throw Error(Code::kBadInput, "{}: tensor {}: expected {} elements, got {}", file.path(),
                tensor->name, h.rope_dim / 2, tensor->elements);
  std::vector<float> factors(static_cast<size_t>(tensor->elements));
  quant::Traits(tensor->type).decode(tensor->data.data(), factors.data(), tensor->elements);
  for (const float factor : factors)
    if (!(factor > 0 && std::isfinite(factor)))
      throw Error(Code::kBadInput, "{}: tensor {}: expected positive numbers, got {}", file.path(),
                  tensor->name, factor);
  return factors;
}

ordered_json ShortestList(const std::vector<float>& values) {
  ordered_json list = ordered_json::array();
  for (const float value : values) list.push_back(Shortest(value));
  return list;
}

class ConfigMaker {
 public:
  ConfigMaker(const format::GgufFile& file, const model::Family& family, const Hparams& h,
              const HfFamily& hf)
      : file_(file), family_(family), h_(h), hf_(hf) {}

  ordered_json Make() {
    CheckExpressible();
    // Llama's class knows no window. Mistral's, the next of the record, is the same with one.
    const bool is_mistral = hf_.window == HfWindow::kNone && h_.window > 0;
    if (is_mistral && hf_.classes.size() == 1) Refuse("attention has a window");
    out_["architectures"] = {hf_.classes[is_mistral]};
    out_["model_type"] = hf_.model_types[is_mistral];
    out_["vocab_size"] = h_.vocab;
    out_["hidden_size"] = h_.d_model;
    out_["intermediate_size"] = h_.ffn;
    out_["num_hidden_layers"] = h_.layers;
    out_["num_attention_heads"] = h_.heads;
    out_["num_key_value_heads"] = h_.kv_heads;
    out_["head_dim"] = h_.head_dim;
    out_["max_position_embeddings"] = h_.context;
    out_["rms_norm_eps"] = Shortest(h_.eps);
    const bool is_gelu = family_.activation == ops::Activation::kGelu;
    out_[is_gelu ? "hidden_activation" : "hidden_act"] = is_gelu ? "gelu_pytorch_tanh" : "silu";
    out_["attention_dropout"] = 0.0;
    out_["initializer_range"] = 0.02;
    out_["use_cache"] = true;
    out_["tie_word_embeddings"] = file_.Find("output.weight") == nullptr;
    if (family_.scales_embedding) AddGemma();
    AddWindow(is_mistral);
    AddRope();
    AddTokens();
    return std::move(out_);
  }

 private:
  [[noreturn]] void Refuse(const std::string& what) const {
    throw Error(Code::kUnsupported, "{}: {}, which {} of transformers cannot express", file_.path(),
                what, hf_.classes[0]);
  }

  void CheckExpressible() const {
    if (h_.rope_dim != h_.head_dim && hf_.rope != HfRope::kPartial)
      Refuse(fmt::format("only {} of the {} dimensions of a head are rotated", h_.rope_dim,
                         h_.head_dim));
    if (h_.temperature_scale != 0 && hf_.rope != HfRope::kParameters)
      Refuse("queries grow with the position (attention.temperature_scale)");
    const bool has_caps = h_.attn_softcap != 0 || h_.final_softcap != 0;
    if (has_caps && !family_.scales_embedding) Refuse("logits are capped");
  }

  void AddGemma() {
    out_["query_pre_attn_scalar"] =
        family_.wide_query_scale_layers == h_.layers ? h_.d_model / h_.heads : h_.head_dim;
    const auto cap = [](float value) {
      return value == 0 ? ordered_json() : ordered_json(Shortest(value));
    };
    out_["attn_logit_softcapping"] = cap(h_.attn_softcap);
    out_["final_logit_softcapping"] = cap(h_.final_softcap);
    out_["attention_bias"] = false;
  }

  void AddWindow(bool is_mistral) {
    const auto window = h_.window == 0 ? ordered_json() : ordered_json(h_.window);
    const bool is_by_layer = hf_.window == HfWindow::kByLayer || hf_.window == HfWindow::kQwen;
    if (!is_by_layer) {
      if (h_.window > 0 && h_.window_period != 0) Refuse("some layers have a window, others none");
      if (is_mistral || hf_.window == HfWindow::kForAll) out_["sliding_window"] = window;
      return;
    }
    if (hf_.window == HfWindow::kQwen) {
      out_["use_sliding_window"] = h_.window > 0;
      out_["max_window_layers"] = h_.window > 0 ? 0 : h_.layers;
    }
    ordered_json types = ordered_json::array();
    for (int64_t layer = 0; layer < h_.layers; ++layer)
      types.push_back(h_.IsWindowLayer(layer) ? "sliding_attention" : "full_attention");
    out_["layer_types"] = types;
    out_["sliding_window"] = window;
  }

  void AddRope() {
    if (hf_.rope == HfRope::kPartial) {
      // The class takes the integer part of the product, which may be one too small.
      double share = static_cast<double>(h_.rope_dim) / static_cast<double>(h_.head_dim);
      while (static_cast<int64_t>(static_cast<double>(h_.head_dim) * share) < h_.rope_dim)
        share = std::nextafter(share, 2.0);
      out_["partial_rotary_factor"] = share;
      out_["original_max_position_embeddings"] =
          h_.original_context > 0 ? h_.original_context : h_.context;
    }
    ordered_json scaling = Scaling();
    if (hf_.rope == HfRope::kParameters) {
      if (scaling.is_null()) scaling = {{"rope_type", "default"}};
      scaling["rope_theta"] = Shortest(h_.rope_base);
      if (h_.temperature_scale != 0) {
        scaling["llama_4_scaling_beta"] = Shortest(h_.temperature_scale);
        scaling["original_max_position_embeddings"] = h_.original_context;
      }
      out_["rope_parameters"] = scaling;
      return;
    }
    out_["rope_theta"] = Shortest(h_.rope_base);
    if (hf_.rope == HfRope::kLocal)
      out_["rope_local_base_freq"] =
          Shortest(h_.window_rope_base > 0 ? h_.window_rope_base : h_.rope_base);
    out_["rope_scaling"] = scaling;
  }

  // The value of rope_scaling: null for none.
  ordered_json Scaling() const {
    const std::vector<float> freqs = ReadFactors(file_, model::Slot::kRopeFreqs, h_);
    const std::vector<float> long_factors = ReadFactors(file_, model::Slot::kRopeFactorsLong, h_);
    const std::vector<float> short_factors = ReadFactors(file_, model::Slot::kRopeFactorsShort, h_);
    if (!long_factors.empty() && !short_factors.empty()) {
      if (h_.rope_scaling == RopeScaling::kLinear || h_.rope_scaling == RopeScaling::kYarn)
        Refuse("rope is scaled in two ways");
      return LongScaling(short_factors, long_factors);
    }
    if (!freqs.empty()) {
      if (h_.rope_scaling == RopeScaling::kLinear || h_.rope_scaling == RopeScaling::kYarn)
        Refuse("rope is scaled in two ways");
      return FrequencyScaling(freqs);
    }
    const bool is_stretched =
        h_.rope_scaling == RopeScaling::kYarn || h_.rope_scaling == RopeScaling::kLinear;
    if (is_stretched && hf_.rope == HfRope::kPartial) Refuse("rope is scaled without factors");
    if (h_.rope_scaling == RopeScaling::kYarn) return YarnScaling();
    if (h_.rope_attn_factor != 1) Refuse("attention is scaled (rope.scaling.attn_factor)");
    if (h_.rope_scaling == RopeScaling::kLong)
      throw Error(Code::kBadInput, "{}: rope scaling is longrope, but the factors are missing",
                  file_.path());
    if (h_.rope_scaling == RopeScaling::kNone) return nullptr;
    return {{"rope_type", "linear"}, {"factor", Shortest(h_.rope_factor)}};
  }

  ordered_json FrequencyScaling(const std::vector<float>& factors) const {
    if (h_.rope_attn_factor != 1) return LongScaling(factors, factors);
    const auto found = FindLlama3Scaling(factors, static_cast<double>(h_.rope_base), h_.rope_dim);
    // The class takes any list of factors under this name.
    if (!found) return LongScaling(factors, factors);
    return {{"rope_type", "llama3"},
            {"factor", found->factor},
            {"low_freq_factor", found->low_freq_factor},
            {"high_freq_factor", found->high_freq_factor},
            {"original_max_position_embeddings", static_cast<int64_t>(found->original_context)}};
  }

  ordered_json LongScaling(const std::vector<float>& short_factors,
                           const std::vector<float>& long_factors) const {
    const int64_t original = h_.original_context > 0 ? h_.original_context : h_.context;
    // Phi-3's class in transformers 4 wants just these three, under the old name.
    ordered_json scaling = {{hf_.rope == HfRope::kPartial ? "type" : "rope_type", "longrope"},
                            {"short_factor", ShortestList(short_factors)},
                            {"long_factor", ShortestList(long_factors)}};
    if (hf_.rope != HfRope::kPartial) scaling["original_max_position_embeddings"] = original;
    // What the class takes when it is not told.
    const double stretch = static_cast<double>(h_.context) / static_cast<double>(original);
    const double usual =
        stretch <= 1 ? 1
                     : std::sqrt(1 + std::log(stretch) / std::log(static_cast<double>(original)));
    if (std::abs(usual - static_cast<double>(h_.rope_attn_factor)) > 1e-6)
      scaling["attention_factor"] = Shortest(h_.rope_attn_factor);
    return scaling;
  }

  ordered_json YarnScaling() const {
    ordered_json scaling = {{"rope_type", "yarn"},
                            {"factor", Shortest(h_.rope_factor)},
                            {"original_max_position_embeddings", h_.original_context},
                            {"beta_fast", Shortest(h_.yarn_beta_fast)},
                            {"beta_slow", Shortest(h_.yarn_beta_slow)}};
    const auto key = [&](const char* name) { return std::string(family_.arch) + name; };
    const auto all_dim = file_.metadata().FindFloat(key(".rope.scaling.yarn_log_multiplier"));
    const bool has_factor = file_.metadata().Has(key(".rope.scaling.attn_factor"));
    if (has_factor) {
      scaling["attention_factor"] = Shortest(h_.rope_attn_factor);
    } else if (all_dim && *all_dim != 0) {
      scaling["mscale"] = 1.0;
      scaling["mscale_all_dim"] = Shortest(*all_dim);
    }
    return scaling;
  }

  void AddTokens() {
    const auto id = [&](const char* name) {
      return file_.metadata().FindInt(fmt::format("tokenizer.ggml.{}_token_id", name));
    };
    for (const auto& [key, name] :
         {std::pair("bos_token_id", "bos"), std::pair("eos_token_id", "eos"),
          std::pair("pad_token_id", "padding")})
      out_[key] = id(name) ? ordered_json(*id(name)) : ordered_json();
  }

  const format::GgufFile& file_;
  const model::Family& family_;
  const Hparams& h_;
  const HfFamily& hf_;
  ordered_json out_;
};

}  // namespace

ordered_json MakeHfConfig(const format::GgufFile& file, const model::Family& family,
                          const Hparams& hparams, const HfFamily& hf) {
  return ConfigMaker(file, family, hparams, hf).Make();
}

ordered_json MakeGenerationConfig(const format::GgufFile& file) {
  const format::GgufMetadata& metadata = file.metadata();
  ordered_json out = ordered_json::object();
  if (metadata.Has("tokenizer.ggml.tokens")) {
    const text::Tokenizer tokenizer = model::MakeTokenizer(file);
    if (tokenizer.bos() >= 0) out["bos_token_id"] = tokenizer.bos();
    const std::vector<int32_t>& ends = tokenizer.end_of_generation();
    if (ends.size() == 1) out["eos_token_id"] = ends[0];
    if (ends.size() > 1) out["eos_token_id"] = ends;
    if (tokenizer.pad() >= 0) out["pad_token_id"] = tokenizer.pad();
  }
  const std::string prefix = "general.sampling.";
  ordered_json sampling = ordered_json::object();
  if (const auto k = metadata.FindInt(prefix + "top_k")) sampling["top_k"] = *k;
  for (const auto& [key, name] :
       {std::pair("temp", "temperature"), std::pair("top_p", "top_p"), std::pair("min_p", "min_p"),
        std::pair("penalty_repeat", "repetition_penalty")})
    if (const auto value = metadata.FindFloat(prefix + key)) sampling[name] = Shortest(*value);
  if (!sampling.empty()) out["do_sample"] = sampling.value("temperature", 1.0) > 0;
  out.update(sampling);
  return out;
}

}  // namespace slm::convert
