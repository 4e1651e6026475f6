// The tensors of a model bound to what the forward pass reads: checked against the table, split
// where fused.
#pragma once

#include <vector>

#include "format/gguf.h"
#include "model/hparams.h"
#include "model/tensor_finder.h"
#include "ops/backend.h"

namespace slm::model {

// Floats padded with zeros to a multiple of 16; empty when the file has no such tensor.
using Vector = std::vector<float>;

struct LayerWeights {
  Vector attn_norm, ffn_norm;
  Vector post_attn_norm, post_ffn_norm;
  Vector q_norm, k_norm;
  Vector q_bias, k_bias, v_bias;
  ops::Matrix q, k, v, output;
  ops::Matrix gate, up, down;
};

struct Weights {
  ops::PlainRows token_embd;
  Vector output_norm;
  ops::Matrix output;
  Vector rope_freqs, rope_factors_long, rope_factors_short;  // not padded
  std::vector<LayerWeights> layers;
};

// Throws kBadInput naming the tensor that is missing or has a wrong shape. Matrices are views of
// the file, which must outlive the weights; PackedWeights gives them panels.
Weights BindWeights(const format::GgufFile& file, const Hparams& hparams, const Family& family,
                    ops::Backend* backend);

// Those that tokens are multiplied by, in the order in which that happens.
std::vector<ops::Matrix*> MatricesOf(Weights* weights);

// One layer by itself, with other tensors in the place of some; its matrices have what they read.
// Throws as BindWeights does.
LayerWeights BindLayer(const format::GgufFile& file, const Hparams& hparams, const Family& family,
                       ops::Backend* backend, int64_t layer, const TensorLookup& replaced);

}  // namespace slm::model
