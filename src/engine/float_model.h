// A model whose weights are floats in memory that can be changed: what is trained as a whole.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "engine/model.h"

namespace slm::engine {

class FloatModel {
 public:
  // Decodes all tensors of a file in any type. Throws as Model::Load does, and kFailed where memory
  // runs out.
  FloatModel(const std::string& path, Runtime* runtime);

  // Its file has tensors of F32, in the order of the one that was read, and its metadata. Neither
  // outlives this.
  const std::shared_ptr<Model>& model() const { return model_; }
  // Of a tensor of that file.
  std::span<float> values(size_t tensor) const {
    const AlignedBuffer& values = values_[tensor];
    return {reinterpret_cast<float*>(values.data()), values.size() / sizeof(float)};
  }

 private:
  const format::GgufFile file_;
  std::vector<AlignedBuffer> values_;  // by tensor
  std::shared_ptr<Model> model_;
};

}  // namespace slm::engine
