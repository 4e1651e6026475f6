// Adapters to begin with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/model.h"
#include "model/lora.h"

namespace slm::train {

struct NewLoraOptions {
  int64_t rank = 16;
  double alpha = 32;
  bool is_rank_stabilised = false;  // scale alpha / sqrt(rank) instead of alpha / rank
  bool is_dora = false;
  // "all", or names of modules, as PEFT has them ("q_proj", "qkv_proj") or GGUF ("attn_q").
  std::vector<std::string> targets = {"all"};
  uint64_t seed = 0;
};

// A is uniform in +-1 / sqrt(in), as PEFT's, B is 0, so that nothing is changed yet; DoRA's
// magnitudes are the norms of the base's rows. Throws kBadInput for a rank that is larger than a
// matrix, or weights that are not finite where DoRA reads them; kUsage, with the names there are,
// for a target that the model does not have.
model::Lora NewLora(const engine::Model& model, const NewLoraOptions& options);

}  // namespace slm::train
