// Adapters that a user names: --lora FILE[:SCALE], a PEFT folder or a GGUF file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/lora.h"

namespace slm::cli {

struct NamedLora {
  model::Lora lora;
  float scale = 1;
};

// A PEFT folder or a GGUF file. Throws kUsage for a path that is not there, and what the readers
// throw.
model::Lora ReadLora(const std::string& path, const model::LoraTargets& targets);

// Throws kUsage for a scale that is no number or a path that is not there, kUnsupported for DoRA
// beside another adapter, and what the readers throw.
std::vector<NamedLora> ReadLoras(const model::LoraTargets& targets,
                                 const std::vector<std::string>& specs);

// The same, to be used with a model. Throws as ReadLoras.
std::vector<std::shared_ptr<const engine::Lora>> LoadLoras(const engine::Model& model,
                                                           const std::vector<std::string>& specs);

// What a model with them is called: model+adapter, or model+adapter:0.5.
std::string WithLoras(const std::string& model, const std::vector<std::string>& specs);

// The files and folders that are named. Throws kUsage as ReadLoras.
std::vector<std::string> LoraPaths(const std::vector<std::string>& specs);

}  // namespace slm::cli
