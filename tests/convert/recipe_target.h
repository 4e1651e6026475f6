// What `slm convert --type` makes of tensors.
#pragma once

#include <string_view>

#include "convert/convert.h"

namespace slm::convert {

GgufTarget RecipeTarget(std::string_view name);

}  // namespace slm::convert
