// Ctrl-C as a flag: the first press asks what runs to stop, a second one ends the program.
#pragma once

namespace slm::cli {

// While one lives, SIGINT sets the flag instead of ending the program.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  static bool IsInterrupted();
  static void Clear();
};

}  // namespace slm::cli
