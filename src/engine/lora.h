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
  // `scale` multiplies the adapter's own. DoRA decodes its matrices once, for the norms of their
  // rows. The model need not outlive the result.
  Lora(const Model& model, const model::Lora& lora, float scale);
  // Takes other numbers for the same matrices.
  void Bind(const Model& model, const model::Lora& lora, float scale);

  // nullptr where it changes nothing.
  const LowRank* Find(int64_t layer, model::Slot slot) const;

 private:
  std::vector<std::unique_ptr<const LowRank>> by_slot_;  // [layers][slots]
};

}  // namespace slm::engine
