// Angles of rotary position embeddings, with all ways of stretching them: linear, Llama 3's and
// long rope's factors (tensors), YaRN. Reference: transformers, modeling_rope_utils.py; in float32
// where that is.
#pragma once

#include <cstdint>
#include <vector>

#include "model/hparams.h"
#include "model/weights.h"

namespace slm::model {

class Rope {
 public:
  // `context`: positions of the session; long rope takes its long factors when it passes the
  // original context.
  Rope(const Hparams& hparams, const Weights& weights, bool is_window_layer, int64_t context);

  // cos and sin of `count` positions from `first` on, [count, rope_dim / 2] each.
  void Fill(int64_t first, int64_t count, float* cos, float* sin) const;

 private:
  std::vector<float> inverse_frequencies_;
  float attn_factor_ = 1;
};

// What the queries of a position are multiplied by; Ministral's grows with the position.
float QueryScale(const Hparams& hparams, int64_t position);

}  // namespace slm::model
