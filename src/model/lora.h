// A low-rank adapter as its file has it: of some matrices W of a model, A and B, whose product is
// added: y = W x + scale * B (A x). Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models"
// (arXiv 2106.09685); DoRA: Liu et al. (arXiv 2402.09353).
//
// Rows and columns are those of the GGUF tensor, rotated pairs of q and k as they lie there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/gguf.h"
#include "model/base_identity.h"
#include "model/hparams.h"
#include "model/tensor_table.h"

namespace slm::model {

struct LoraMatrix {
  Slot slot = Slot::kCount;  // of the file's tensor; kOutput also where the output is tied
  int64_t layer = 0;         // 0 outside layers
  int64_t rank = 0;
  int64_t in = 0, out = 0;
  float scale = 1;               // alpha / rank; of rsLoRA alpha / sqrt(rank)
  std::vector<float> a;          // [rank, in]
  std::vector<float> b;          // [out, rank]
  std::vector<float> magnitude;  // [out], of DoRA: rows of W + scale B A are scaled to these norms
};

struct Lora {
  std::string path;  // for messages
  std::vector<LoraMatrix> matrices;
  std::optional<BaseIdentity> base = {};  // what it was trained on, where it says so
};

// What an adapter may change of a model.
class LoraTargets {
 public:
  // `base` must outlive the result.
  LoraTargets(const format::GgufFile& base, const Hparams& hparams)
      : base_(base), hparams_(hparams) {}

  // Whether matrices of the slot take an adapter: those that tokens are multiplied by.
  static bool IsTarget(Slot slot);

  // The matrix without its numbers: slot, layer, in and out. Throws kBadInput, naming the file and
  // the tensor, when the model has none there.
  LoraMatrix Get(const std::string& path, Slot slot, int64_t layer) const;

  const format::GgufFile& base() const { return base_; }
  const Hparams& hparams() const { return hparams_; }

 private:
  const format::GgufFile& base_;
  const Hparams& hparams_;
};

// An adapter as llama.cpp has it: general.type "adapter", adapter.type "lora", one alpha, and for
// each matrix <tensor>.lora_a and <tensor>.lora_b. Throws kBadInput, naming the key or the tensor,
// for what does not fit the model or was trained on another; kUnsupported for what is not computed
// here, such as an adapter of the embedding.
Lora ReadGgufLora(const format::GgufFile& file, const LoraTargets& targets);
Lora ReadGgufLora(const std::string& path, const LoraTargets& targets);

}  // namespace slm::model
