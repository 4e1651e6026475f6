// slm inspect of an adapter as PEFT has it, a folder.
#pragma once

#include <string>

namespace slm::cli {

bool IsPeftFolder(const std::string& path);

// Prints its settings, what it says of its base, and its tensors. Throws as Safetensors::OpenFolder
// and convert::Config::Read do.
void InspectAdapter(const std::string& folder, bool is_json);

}  // namespace slm::cli
