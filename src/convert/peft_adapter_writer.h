// Writes an adapter as PEFT reads it: a folder of adapter_config.json and
// adapter_model.safetensors.
#pragma once

#include <string>

#include "model/lora.h"

namespace slm::convert {

struct PeftOptions {
  std::string base_name;            // base_model_name_or_path
  bool is_rank_stabilised = false;  // write use_rslora
  double dropout = 0;               // lora_dropout: what it was trained with
};

// Into a folder that is there. Rows of q and k are put where transformers has them; ranks that
// differ from most stand in the patterns. All matrices get one scale, as vLLM knows no other:
// others are multiplied into B. Throws kFailed for the disk.
void WritePeftLora(const std::string& folder, const model::Lora& lora,
                   const model::LoraTargets& targets, const PeftOptions& options);

}  // namespace slm::convert
