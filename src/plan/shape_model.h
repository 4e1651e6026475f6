// A model by its shape alone, as the engine loads it: it has all sizes and no weights, and takes no
// memory. Whatever plans by asking a model can ask this one; to compute with it ends the program.
#pragma once

#include <memory>

#include "base/aligned_buffer.h"
#include "base/reserved_addresses.h"
#include "engine/model.h"
#include "plan/model_size.h"

namespace slm::plan {

class ShapeModel {
 public:
  // Throws as engine::Model::Load does for a shape that is wrong. `runtime` must outlive this.
  ShapeModel(const ModelSize& size, engine::Runtime* runtime);

  // Must not outlive this.
  const std::shared_ptr<const engine::Model>& model() const { return model_; }

 private:
  const std::string header_;
  const ReservedAddresses matrices_;
  const AlignedBuffer vectors_;
  std::shared_ptr<const engine::Model> model_;
};

}  // namespace slm::plan
