// The one exception type. Bad input and a bad environment throw it; see docs/internals.md, Errors.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "base/printable.h"

namespace slm {

// The numbers are the exit codes of the program.
enum class Code {
  kFailed = 1,        // the environment: disk full, network, out of memory
  kUsage = 2,         // a flag or an argument
  kBadInput = 3,      // a file or a request is malformed
  kUnsupported = 4,   // well formed, but not supported here
  kInterrupted = 130  // Ctrl-C
};

class Error : public std::runtime_error {
 public:
  // The message says what, where (file, tensor, offset), expected, got, and the fix if there is
  // one. What a file or a request put into it is shown as it may be.
  template <class... Args>
  Error(Code code, fmt::format_string<Args...> format, Args&&... args)
      : std::runtime_error(Printable(fmt::format(format, std::forward<Args>(args)...))),
        code_(code) {}

  Code code() const { return code_; }

 private:
  Code code_;
};

namespace internal {
[[noreturn]] void CheckFailed(const char* expression, const char* file, int line);
}

}  // namespace slm

// Programmer errors only: never reachable from the bytes of a file, a flag or a request.
#define SLM_CHECK(condition) \
  ((condition) ? (void)0 : ::slm::internal::CheckFailed(#condition, __FILE__, __LINE__))
