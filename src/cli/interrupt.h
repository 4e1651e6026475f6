// Ctrl-C as a flag: the first press asks what runs to stop.
#pragma once

#include <string_view>

namespace slm::cli {

// While one lives, SIGINT sets the flag instead of ending the program. A second press before Clear
// ends it, unless the program is one to come back to; else SIGTERM, by which mpirun and service
// managers pass a Ctrl-C on, is a press, too.
class InterruptGuard {
 public:
  // `first` is said on stderr at the first press; it must outlive the guard.
  explicit InterruptGuard(bool second_ends_program = true, const char* first = nullptr);
  ~InterruptGuard();
  static bool IsInterrupted();
  static void Clear();
};

// What an answer asks before every token: Ctrl-C, or nobody reads standard output any more.
bool IsAnswerUnwanted();

// Writes a part of an answer to standard output at once.
void PrintPart(std::string_view text);

}  // namespace slm::cli
