#include "convert/hf_names.h"

#include "base/error.h"

namespace slm::convert {
namespace {

using enum model::Slot;
using std::string_view;

// In a layer, what follows "model.layers.<i>.".
constexpr HfName kLlamaNames[] = {
    {kTokenEmbd, "model.embed_tokens.weight"},
    {kOutputNorm, "model.norm.weight"},
    {kOutput, "lm_head.weight"},
    {kAttnNorm, "input_layernorm.weight"},
    {kAttnQ, "self_attn.q_proj.weight"},
    {kAttnK, "self_attn.k_proj.weight"},
    {kAttnV, "self_attn.v_proj.weight"},
    {kAttnQkv, "self_attn.qkv_proj.weight"},
    {kAttnQBias, "self_attn.q_proj.bias"},
    {kAttnKBias, "self_attn.k_proj.bias"},
    {kAttnVBias, "self_attn.v_proj.bias"},
    {kAttnQkvBias, "self_attn.qkv_proj.bias"},
    {kAttnQNorm, "self_attn.q_norm.weight"},
    {kAttnKNorm, "self_attn.k_norm.weight"},
    {kAttnOutput, "self_attn.o_proj.weight"},
    {kFfnNorm, "post_attention_layernorm.weight"},
    {kFfnGate, "mlp.gate_proj.weight"},
    {kFfnUp, "mlp.up_proj.weight"},
    {kFfnDown, "mlp.down_proj.weight"},
};

constexpr HfName kGemmaNames[] = {
    {kAttnPostNorm, "post_attention_layernorm.weight"},
    {kFfnNorm, "pre_feedforward_layernorm.weight"},
    {kFfnPostNorm, "post_feedforward_layernorm.weight"},
};

// Gate and up are one matrix, in this order, in GGUF, too.
constexpr HfName kPhi3Names[] = {{kFfnUp, "mlp.gate_up_proj.weight"}};

// In a layer, what follows "layers.<i>.". Rows of q and k are as GGUF has them.
constexpr HfName kMistralNames[] = {
    {kTokenEmbd, "tok_embeddings.weight"},
    {kOutputNorm, "norm.weight"},
    {kOutput, "output.weight"},
    {kAttnNorm, "attention_norm.weight"},
    {kAttnQ, "attention.wq.weight"},
    {kAttnK, "attention.wk.weight"},
    {kAttnV, "attention.wv.weight"},
    {kAttnOutput, "attention.wo.weight"},
    {kFfnNorm, "ffn_norm.weight"},
    {kFfnGate, "feed_forward.w1.weight"},
    {kFfnUp, "feed_forward.w3.weight"},
    {kFfnDown, "feed_forward.w2.weight"},
};

constexpr string_view kGemma2Classes[] = {"Gemma2ForCausalLM"};
constexpr string_view kGemma2Types[] = {"gemma2"};
constexpr string_view kGemma3Classes[] = {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"};
constexpr string_view kGemma3Types[] = {"gemma3_text"};
constexpr string_view kLlamaClasses[] = {"LlamaForCausalLM", "MistralForCausalLM"};
constexpr string_view kLlamaTypes[] = {"llama", "mistral"};
constexpr string_view kMistral3Classes[] = {"Ministral3ForCausalLM",
                                            "Mistral3ForConditionalGeneration"};
constexpr string_view kMistral3Types[] = {"ministral3", "mistral"};
constexpr string_view kPhi3Classes[] = {"Phi3ForCausalLM"};
constexpr string_view kPhi3Types[] = {"phi3"};
constexpr string_view kQwen2Classes[] = {"Qwen2ForCausalLM"};
constexpr string_view kQwen2Types[] = {"qwen2"};
constexpr string_view kQwen3Classes[] = {"Qwen3ForCausalLM"};
constexpr string_view kQwen3Types[] = {"qwen3"};

constexpr model::Slot kBiases[] = {kAttnQBias, kAttnKBias, kAttnVBias};
constexpr model::Slot kHeadNorms[] = {kAttnQNorm, kAttnKNorm};

constexpr HfFamily kFamilies[] = {
    {.arch = "gemma2",
     .classes = kGemma2Classes,
     .model_types = kGemma2Types,
     .names = kGemmaNames,
     .adds_one_to_norms = true,
     .defaults = R"({"tie_word_embeddings": true, "head_dim": 256, "rms_norm_eps": 1e-6,
                     "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
                     "sliding_window": 4096, "query_pre_attn_scalar": 256,
                     "rope_theta": 10000.0})",
     .writes_rope_base = false,
     .writes_window = true,
     .window = HfWindow::kByLayer,
     .needs_bfloat = true},
    {.arch = "gemma3",
     .classes = kGemma3Classes,
     .model_types = kGemma3Types,
     .names = kGemmaNames,
     .adds_one_to_norms = true,
     .also_required = kHeadNorms,
     .defaults = R"({"tie_word_embeddings": true, "num_attention_heads": 8,
                     "num_key_value_heads": 4, "head_dim": 256, "rms_norm_eps": 1e-6,
                     "max_position_embeddings": 131072, "vocab_size": 262208,
                     "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0,
                     "sliding_window": 4096, "query_pre_attn_scalar": 256})",
     .writes_window = true,
     .window = HfWindow::kByLayer,
     .rope = HfRope::kLocal,
     .needs_bfloat = true},
    {.arch = "llama",
     .classes = kLlamaClasses,
     .model_types = kLlamaTypes,
     .permutes_qk = true,
     .defaults = R"({"rope_theta": 10000.0, "rms_norm_eps": 1e-6})",
     .writes_rope_dim = true},
    {.arch = "mistral3",
     .classes = kMistral3Classes,
     .model_types = kMistral3Types,
     .permutes_qk = true,
     .defaults = R"({"rms_norm_eps": 1e-5})",
     .writes_rope_dim = true,
     .window = HfWindow::kForAll,
     .rope = HfRope::kParameters},
    {.arch = "phi3",
     .classes = kPhi3Classes,
     .model_types = kPhi3Types,
     .names = kPhi3Names,
     .fuses = true,
     .defaults = R"({"rope_theta": 10000.0, "original_max_position_embeddings": 4096,
                     "rms_norm_eps": 1e-5})",
     .writes_head_dim = false,
     .writes_rope_dim = true,
     .writes_window = true,
     .window = HfWindow::kForAll,
     .rope = HfRope::kPartial},
    {.arch = "qwen2",
     .classes = kQwen2Classes,
     .model_types = kQwen2Types,
     .also_required = kBiases,
     .defaults = R"({"rope_theta": 10000.0, "rms_norm_eps": 1e-6, "use_sliding_window": false,
                     "max_window_layers": 28})",
     .writes_head_dim = false,
     .window = HfWindow::kQwen},
    {.arch = "qwen3",
     .classes = kQwen3Classes,
     .model_types = kQwen3Types,
     .also_required = kHeadNorms,
     .defaults = R"({"rope_theta": 10000.0, "head_dim": 128, "rms_norm_eps": 1e-6,
                     "use_sliding_window": false, "max_window_layers": 28})",
     .window = HfWindow::kQwen},
};

const char* FindName(std::span<const HfName> names, model::Slot slot) {
  for (const HfName& name : names) {
    if (name.slot == slot) return name.name;
  }
  return nullptr;
}

}  // namespace

std::span<const HfFamily> AllHfFamilies() { return kFamilies; }

const HfFamily* FindHfClass(string_view class_name) {
  for (const HfFamily& family : kFamilies) {
    for (const string_view name : family.classes) {
      if (name == class_name) return &family;
    }
  }
  return nullptr;
}

const HfFamily* FindHfArch(string_view arch) {
  for (const HfFamily& family : kFamilies) {
    if (family.arch == arch) return &family;
  }
  return nullptr;
}

std::string HfClassNames() {
  std::string names;
  for (const HfFamily& family : kFamilies) {
    for (const string_view name : family.classes)
      names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

std::optional<std::string> HfTensorName(const HfFamily& family, Form form, model::Slot slot,
                                        int64_t layer) {
  const char* name = nullptr;
  if (form == Form::kMistral) {
    name = FindName(kMistralNames, slot);
  } else {
    name = FindName(family.names, slot);
    if (!name) name = FindName(kLlamaNames, slot);
  }
  if (!name) return std::nullopt;
  if (!model::TensorTable()[static_cast<size_t>(slot)].is_layer) return name;
  return fmt::format("{}layers.{}.{}", form == Form::kMistral ? "" : "model.", layer, name);
}

std::string TextModelName(const std::string& name) {
  constexpr string_view kInside = "language_model.";
  for (const string_view prefix : {"language_model.", "model.language_model."}) {
    if (name.starts_with(prefix)) {
      std::string text = name;
      return text.erase(name.find(kInside), kInside.size());
    }
  }
  return name;
}

}  // namespace slm::convert
