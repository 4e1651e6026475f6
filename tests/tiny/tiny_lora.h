// Random adapters of small models.
#pragma once

#include <random>

#include "model/lora.h"

namespace slm::testing {

// Of every matrix that the file has, and of the output; rank 5, scale 0.5.
model::Lora RandomLora(const format::GgufFile& file, const model::Hparams& hparams, bool is_dora,
                       std::mt19937& rng);

}  // namespace slm::testing
