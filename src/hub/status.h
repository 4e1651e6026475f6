// What a failed HTTP status means for the user.
#pragma once

#include <string>

#include "base/error.h"
#include "hub/http.h"
#include "hub/settings.h"

namespace slm::hub {

// `what` names the thing asked for; `repo` is user/name, or empty when it is no repository.
// A NetworkError for statuses that a later try may cure.
[[noreturn]] void ThrowStatus(const HttpOutcome& outcome, const std::string& what,
                              const std::string& repo, const Settings& settings);

}  // namespace slm::hub
