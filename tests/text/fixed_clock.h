// The clock of bench/peers/make_template_goldens.py: 2024-07-26 13:04:05, a Friday.
#pragma once

#include <ctime>

#include "text/jinja.h"

namespace slm::text {

inline std::tm FixedNow() {
  std::tm now{};
  now.tm_year = 124;
  now.tm_mon = 6;
  now.tm_mday = 26;
  now.tm_hour = 13;
  now.tm_min = 4;
  now.tm_sec = 5;
  now.tm_wday = 5;
  now.tm_yday = 207;
  return now;
}

inline jinja::RenderOptions FixedOptions() {
  jinja::RenderOptions options;
  options.now = &FixedNow;
  return options;
}

}  // namespace slm::text
