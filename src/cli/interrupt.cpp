#include "cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace slm::cli {
namespace {

std::atomic<bool> is_interrupted{false}, second_ends_program{true};
std::atomic<const char*> said_first{nullptr};
static_assert(std::atomic<bool>::is_always_lock_free);

void OnSignal(int) {
  if (!is_interrupted.exchange(true)) {
    if (const char* text = said_first; text && write(STDERR_FILENO, text, std::strlen(text)) < 0)
      return;  // nobody reads it
  } else if (second_ends_program) {
    _exit(static_cast<int>(Code::kInterrupted));
  }
}

}  // namespace

InterruptGuard::InterruptGuard(bool ends_on_second, const char* first) {
  Clear();
  said_first = first;
  second_ends_program = ends_on_second;
  struct sigaction action = {};
  action.sa_handler = OnSignal;  // without SA_RESTART: a read that waits for the user ends too
  sigaction(SIGINT, &action, nullptr);
  if (ends_on_second) sigaction(SIGTERM, &action, nullptr);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  said_first = nullptr;
}

bool InterruptGuard::IsInterrupted() { return is_interrupted; }

void InterruptGuard::Clear() { is_interrupted = false; }

bool IsAnswerUnwanted() { return InterruptGuard::IsInterrupted() || std::ferror(stdout); }

void PrintPart(std::string_view text) {
  const bool is_written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  // A Ctrl-C cuts the write that it meets short; somebody still reads.
  if ((!is_written || std::fflush(stdout) != 0) && errno == EINTR) std::clearerr(stdout);
}

}  // namespace slm::cli
