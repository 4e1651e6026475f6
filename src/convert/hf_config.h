// The way back for the numbers: config.json and generation_config.json from the metadata of a GGUF
// file, in the form that published checkpoints have (rope_theta and rope_scaling; rope_parameters
// where the class knows nothing else), which every version of transformers and vLLM reads.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "convert/hf_names.h"
#include "format/gguf.h"
#include "model/family.h"
#include "model/hparams.h"

namespace slm::convert {

// The part of config.json that describes the model; dtype and quantization are the caller's. Throws
// kUnsupported, saying what, where transformers' class cannot compute what the file says.
nlohmann::ordered_json MakeHfConfig(const format::GgufFile& file, const model::Family& family,
                                    const model::Hparams& hparams, const HfFamily& hf);

// Token ids and the sampling defaults of general.sampling.*.
nlohmann::ordered_json MakeGenerationConfig(const format::GgufFile& file);

}  // namespace slm::convert
