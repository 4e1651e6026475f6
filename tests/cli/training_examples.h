// Data that a tiny model learns in a few steps.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace slm::testing {

// Conversations whose answer follows from the question.
inline std::string Examples(int count) {
  constexpr const char* kAnswers[] = {"red", "green", "blue"};
  std::string lines;
  for (int i = 0; i < count; ++i)
    lines += nlohmann::json{{"messages",
                             {{{"role", "user"}, {"content", std::string(12, "abc"[i % 3])}},
                              {{"role", "assistant"}, {"content", kAnswers[i % 3]}}}}}
                 .dump() +
             "\n";
  return lines;
}

}  // namespace slm::testing
