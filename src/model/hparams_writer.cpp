#include "model/hparams_writer.h"

#include "format/gguf_header.h"

namespace slm::model {

void WriteHparams(const Hparams& h, const Family& family, format::GgufHeader* out) {
  const std::string arch(family.arch);
  out->SetString("general.architecture", arch);
  const auto set = [&](const char* name, int64_t value) {
    out->Set<uint32_t>(arch + "." + name, static_cast<uint32_t>(value));
  };
  set("block_count", h.layers);
  set("embedding_length", h.d_model);
  set("feed_forward_length", h.ffn);
  set("attention.head_count", h.heads);
  set("attention.head_count_kv", h.kv_heads);
  set("attention.key_length", h.head_dim);
  set("attention.value_length", h.head_dim);
  set("context_length", h.context);
  set("rope.dimension_count", h.rope_dim);
  if (h.window > 0) {
    set("attention.sliding_window", h.window);
    set("attention.sliding_window_pattern", h.window_period);
  }
  out->Set<float>(arch + ".attention.layer_norm_rms_epsilon", h.eps);
}

}  // namespace slm::model
