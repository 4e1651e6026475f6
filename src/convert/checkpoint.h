// A checkpoint folder: which family it is of, its configuration and its tensors. What slm cannot
// convert faithfully is refused here, by name.
#pragma once

#include <string>
#include <vector>

#include "convert/config.h"
#include "convert/hf_names.h"
#include "format/safetensors.h"

namespace slm::convert {

struct Checkpoint {
  std::string folder;
  Form form = Form::kTransformers;
  const HfFamily* family = nullptr;
  // The text model's config.json: text_config merged over the rest, the class's defaults below it.
  // Mistral's params.json arrives under the keys of config.json.
  Config config;
  format::Safetensors tensors;
  std::vector<std::string> notices;  // what the user should know, a sentence each
};

// Throws Error: kFailed for files that cannot be opened, kBadInput for what is malformed or
// missing, kUnsupported for unknown architectures, quantized checkpoints other than FP8, and those
// whose code is in .py files of their own.
Checkpoint OpenCheckpoint(const std::string& folder);

}  // namespace slm::convert
