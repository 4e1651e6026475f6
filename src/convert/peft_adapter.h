// Adapters as PEFT keeps them: a folder of adapter_config.json and adapter_model.safetensors.
//
// Reference: PEFT 0.21, tuners/lora and utils/save_and_load.py.
#pragma once

#include <string>
#include <string_view>

#include "format/safetensors.h"
#include "model/lora.h"

namespace slm::convert {

// LoRA, rsLoRA and DoRA of linear layers, with their patterns of ranks and alphas; rows of q and k
// are put where GGUF has them. Throws kBadInput, naming the key or the tensor, for what is
// malformed, does not fit the model or was trained on another; kUnsupported for what would change
// its answers and is not computed here: biases, whole modules saved beside, adapters of the
// embedding, methods that change the base.
model::Lora ReadPeftLora(const std::string& folder, const model::LoraTargets& targets);

// The same of what the two files hold. `folder` is for messages.
model::Lora ParsePeftLora(const std::string& folder, std::string_view config,
                          const format::Safetensors& tensors, const model::LoraTargets& targets);

}  // namespace slm::convert
