// A small model that adapters are tried on.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/executor.h"
#include "model/lora.h"

namespace slm::convert {

class LoraModel {
 public:
  explicit LoraModel(const std::string& path) : model_(engine::Model::Load(path, &runtime_)) {}

  const engine::Model& model() const { return *model_; }
  const format::GgufFile& file() const { return model_->file(); }
  model::LoraTargets targets() const { return {model_->file(), model_->hparams()}; }

  // After the last id, with a cache in floats.
  std::vector<float> Logits(const model::Lora& lora, std::span<const int32_t> ids) const;

 private:
  engine::Runtime runtime_{2};
  std::shared_ptr<const engine::Model> model_;
};

// The largest difference; NaN where there is one.
float WorstError(const std::vector<float>& got, const std::vector<float>& expected);

}  // namespace slm::convert
