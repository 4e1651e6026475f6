// What a chat template makes of tools, found out by rendering some: what it says nothing of it
// would leave out of the prompt in silence, and some join the arguments of calls to texts.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "text/messages.h"

namespace slm::text {

struct ToolSupport {
  bool shows_tools = false, shows_calls = false, shows_results = false;
  ArgumentForm arguments = ArgumentForm::kObject;
};

// `render` throws what the template refuses with.
using RenderTools = std::function<std::string(const nlohmann::ordered_json& messages,
                                              const nlohmann::ordered_json& tools)>;
ToolSupport ProbeTools(const RenderTools& render);

}  // namespace slm::text
