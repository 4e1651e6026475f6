// Names of models: shared by models.cpp and remove.cpp.
#pragma once

#include <string>

#include "hub/models.h"

namespace slm::hub {

// The one entry that `name` means. Throws Error kUsage with candidates or the nearest names.
ModelEntry FindModel(const std::string& name, const Settings& settings);

}  // namespace slm::hub
