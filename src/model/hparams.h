// The numbers of a model, from the metadata of its file.
#pragma once

#include <cstdint>
#include <string>

#include "format/gguf.h"
#include "model/family.h"

namespace slm::model {

// kLong: by the factors that the file has as tensors.
enum class RopeScaling { kNone, kLinear, kYarn, kLong };

struct Hparams {
  int64_t layers = 0;
  int64_t d_model = 0;   // D
  int64_t ffn = 0;       // F
  int64_t heads = 0;     // H
  int64_t kv_heads = 0;  // K, divides H
  int64_t head_dim = 0;  // Dh
  int64_t vocab = 0;     // V, rows of the embedding
  int64_t context = 0;   // positions the model was made for
  float eps = 0;

  int64_t rope_dim = 0;  // rotated dimensions of a head, even
  float rope_base = 0;
  float window_rope_base = 0;  // of window layers, which then are not scaled; 0: as the others
  RopeScaling rope_scaling = RopeScaling::kNone;
  float rope_factor = 1;
  float rope_attn_factor = 1;    // multiplies cos and sin
  int64_t original_context = 0;  // before scaling; 0 when the file does not say
  float yarn_beta_fast = 32, yarn_beta_slow = 1;

  int64_t window = 0;         // 0: none
  int64_t window_period = 0;  // see Family
  float attn_softcap = 0;     // 0: none
  float final_softcap = 0;
  float query_scale = 0;  // 1/sqrt(Dh), mostly
  float temperature_scale =
      0;  // queries times 1 + this * ln(1 + floor(position / original_context)); 0: none

  bool IsWindowLayer(int64_t layer) const {
    if (window == 0) return false;
    return window_period == 0 || layer % window_period < window_period - 1;
  }
};

// Throws kBadInput, naming the key, for what is missing or makes no sense.
Hparams ReadHparams(const format::GgufFile& file, const Family& family);

// What rows of the embedding are multiplied by.
float EmbeddingScale(const Family& family, const Hparams& hparams);

}  // namespace slm::model
