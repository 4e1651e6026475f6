#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace slm::internal {

void CheckFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: internal error: %s\n", file, line, expression);
  std::abort();
}

}  // namespace slm::internal
