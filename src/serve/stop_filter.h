// Ends a stream of text at the first of some texts. What may be the beginning of one is held back.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slm::serve {

class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stop) : stop_(std::move(stop)) {}

  // What can be passed on of all that has come.
  std::string Push(std::string_view text);
  // What was held back, at the end.
  std::string Flush() { return std::exchange(held_, {}); }
  bool has_stopped() const { return has_stopped_; }

 private:
  std::vector<std::string> stop_;  // none empty
  std::string held_;
  bool has_stopped_ = false;
};

}  // namespace slm::serve
