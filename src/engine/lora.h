// A low-rank adapter in the form that the forward pass reads: model::Lora bound to a model.
#pragma once

#include <memory>
#include <vector>

#include "engine/model.h"
#include "model/lora.h"
#include "model/weights.h"

namespace slm::engine {

// What an adapter does to the products that read one tensor of the file.
struct LowRank {
  // One product's part: a tensor that is fused in the file has several.
  struct Part {
    ops::Matrix b;  // [rows of the product, rank], scaled
    // Of DoRA, else empty: what the sum is multiplied by, and what is added then, which keeps the
    // bias as it is.
    model::Vector factor, offset;
  };
  ops::Matrix a;            // [rank, in]; the rank is filled up with zeros to a multiple of 16
  std::vector<Part> parts;  // of q, k, v, or of gate, up, or of all of the tensor
  std::vector<model::Vector> rows;  // of the matrices, where the kernels read them as they are
};

class Lora {
 public:
  // `scale` multiplies the adapter's own. Neither argument need outlive the result.
  Lora(const Model& model, const model::Lora& lora, float scale);

  // nullptr where it changes nothing.
  const LowRank* Find(int64_t layer, model::Slot slot) const;

 private:
  friend class ChangingLora;
  Lora() = default;
  std::vector<std::unique_ptr<const LowRank>> by_slot_;  // [layers][slots]
};

// An adapter that is trained: its numbers change, and of one layer at a time they are here a second
// time, in the form that products read.
class ChangingLora {
 public:
  // Both must outlive the result.
  ChangingLora(const Model& model, const model::Lora& values);

  // The values have changed.
  void Update();
  // Binds those of `layer` in the place of another's.
  void HoldLayer(int64_t layer);

  // Memory of the layer that takes the most.
  uint64_t LayerBytes() const;

  // That of the layer which is held.
  std::shared_ptr<const Lora> lora() const { return lora_; }

 private:
  const Model& model_;
  const model::Lora& values_;
  std::vector<model::Vector> squares_;  // by matrix, of DoRA: |W|^2 of its rows
  std::vector<model::Vector> norms_;    // and |W + scale B A|
  int64_t layer_ = -1;
  std::shared_ptr<Lora> lora_;
};

}  // namespace slm::engine
