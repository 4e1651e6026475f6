// What a model family computes, as far as its GGUF files do not say. Dimensions come from metadata
// (hparams.h), and biases, q/k norms, a tied output and fused weights from which tensors are there
// (weights.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ops/backend.h"

namespace slm::model {

// Whether a block's outputs are normed once more before they are added.
enum class NormPlace { kPre, kPreAndPost };

// How YaRN and long rope are written into the metadata is common to all; which pairs are rotated is
// not.
enum class RopePairs { kInterleaved, kHalves };

struct Family {
  std::string_view arch;  // general.architecture
  RopePairs rope_pairs = RopePairs::kHalves;
  NormPlace norm_place = NormPlace::kPre;
  ops::Activation activation = ops::Activation::kSilu;
  bool scales_embedding = false;  // by sqrt(D)
  // Layers i with i % window_period < window_period - 1 see only the window; 0: a window, if the
  // file has one, is for all layers.
  int window_period = 0;
  int window = 0;                             // the window, when the file has none; 0: none
  float attn_softcap = 0, final_softcap = 0;  // when the file has none; 0: none
  float rope_base = 10000.0f;                 // when the file has none
  float window_rope_base = 0;  // of window layers, when the file has none; 0: as the others
  int64_t wide_query_scale_layers =
      0;  // with this many layers queries are scaled by 1/sqrt(D / H), not by the head
};

// Every family, by name.
std::span<const Family* const> AllFamilies();

// Throws kBadInput, listing the known ones.
const Family& FindFamily(std::string_view arch, const std::string& path);

}  // namespace slm::model
