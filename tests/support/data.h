// Where outside data is: SLM_DATA, else ../shared/data beside the repository.
#pragma once

#include <optional>
#include <string>

namespace slm::testing {

// The path of `name` inside the data folder, or nothing when it is not there.
std::optional<std::string> DataPath(const std::string& name);

std::string ReadFile(const std::string& path);

}  // namespace slm::testing

// Leaves the test as skipped, saying so, when the data is missing.
#define SLM_DATA_OR_SKIP(variable, name)                                        \
  const auto variable##_or = ::slm::testing::DataPath(name);                    \
  if (!variable##_or) GTEST_SKIP() << "skipped: no " << name << " in SLM_DATA"; \
  const std::string& variable = *variable##_or
