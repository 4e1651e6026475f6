// Whether a base can be trained on.
#pragma once

#include "engine/model.h"

namespace slm::train {

// Throws kBadInput, naming layer and matrix, when a weight is not finite: one would spoil every
// gradient, or be taken for zero where products round by the largest of a block.
void CheckFinite(const engine::Model& model);

}  // namespace slm::train
