// What slm plan -m names: a file, or a model of the catalog in a type.
#pragma once

#include <string>

#include "plan/model_size.h"

namespace slm::cli {

// A path, MODEL or MODEL:TYPE of `slm catalog` (no type: Q4_K_M), or what -m means elsewhere.
// Throws kUsage with near names.
plan::ModelSize PlannedModel(const std::string& name);

}  // namespace slm::cli
