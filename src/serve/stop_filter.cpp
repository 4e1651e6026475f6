#include "serve/stop_filter.h"

#include <algorithm>

namespace slm::serve {

std::string StopFilter::Push(std::string_view text) {
  held_ += text;
  size_t end = held_.size(), begin_of_match = held_.size();
  for (const std::string& stop : stop_) {
    if (const size_t at = held_.find(stop); at != std::string::npos) {
      end = std::min(end, at);
      has_stopped_ = true;
    }
    for (size_t n = std::min(stop.size(), held_.size()); n > 0; --n)
      if (held_.ends_with(stop.substr(0, n))) {
        begin_of_match = std::min(begin_of_match, held_.size() - n);
        break;
      }
  }
  if (!has_stopped_) end = begin_of_match;
  std::string free = held_.substr(0, end);
  held_.erase(0, end);
  return free;
}

}  // namespace slm::serve
