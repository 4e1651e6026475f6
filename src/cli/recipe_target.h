// What convert makes of a checkpoint's tensors, by the name of a recipe.
#pragma once

#include <string>
#include <vector>

#include "compress/quantizer.h"
#include "convert/convert.h"

namespace slm::cli {

// Throws kUsage for an unknown name. `fallbacks` gets its entries when the target has chosen; it
// must outlive that.
convert::GgufTarget FindTarget(const std::string& name, std::vector<compress::Fallback>* fallbacks);

}  // namespace slm::cli
