#include "cli/program.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::testing {
namespace {

// What the program keeps is in a folder of the tests'.
const std::string& Cache() {
  static const TempFolder folder;
  return folder.path();
}

std::vector<std::string> CommandOf(std::vector<std::string> args) {
  args.insert(args.begin(), SLM_PROGRAM);
  return args;
}

[[noreturn]] void Execute(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

int CodeOf(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

ProgramResult RunProgram(const std::vector<std::string>& args, const std::string& input,
                         const std::vector<std::string>& environment) {
  return RunCommand(CommandOf(args), input, environment);
}

ProgramResult RunCommand(const std::vector<std::string>& command, const std::string& input,
                         const std::vector<std::string>& environment) {
  const TempFolder folder;  // files, not pipes: nothing can fill up
  WriteFile(folder / "in", input);
  const std::string in = folder / "in", out = folder / "out", err = folder / "err";
  const std::string& cache = Cache();
  const pid_t pid = fork();
  if (pid == 0) {
    setenv("SLM_CACHE", cache.c_str(), 1);
    for (const std::string& entry : environment) putenv(const_cast<char*>(entry.c_str()));
    if (!freopen(in.c_str(), "rb", stdin) || !freopen(out.c_str(), "wb", stdout) ||
        !freopen(err.c_str(), "wb", stderr))
      _exit(127);
    Execute(command);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return {CodeOf(status), ReadFile(out), ReadFile(err)};
}

TerminalProgram::TerminalProgram(const std::vector<std::string>& args, const std::string& state) {
  winsize size = {};
  size.ws_row = 50;
  size.ws_col = 200;
  const std::string& cache = Cache();
  pid_ = forkpty(&fd_, nullptr, nullptr, &size);
  if (pid_ == 0) {
    setenv("SLM_CACHE", cache.c_str(), 1);
    setenv("TERM", "dumb", 1);
    setenv("XDG_STATE_HOME", state.c_str(), 1);
    Execute(CommandOf(args));
  }
}

TerminalProgram::~TerminalProgram() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(fd_);
}

void TerminalProgram::Type(const std::string& keys) {
  if (write(fd_, keys.data(), keys.size()) < 0) std::perror("write to the terminal");
}

void TerminalProgram::StopAndContinue() {
  kill(pid_, SIGSTOP);
  int status = 0;
  waitpid(pid_, &status, WUNTRACED);
  termios modes;
  tcgetattr(fd_, &modes);
  modes.c_lflag |= ICANON | ECHO;
  tcsetattr(fd_, TCSANOW, &modes);
  kill(pid_, SIGCONT);
}

bool TerminalProgram::ReadSome(int timeout_ms) {
  pollfd poller = {fd_, POLLIN, 0};
  if (poll(&poller, 1, timeout_ms) <= 0) return false;
  char buffer[4096];
  const ssize_t n = read(fd_, buffer, sizeof buffer);
  if (n <= 0) return false;
  screen_.append(buffer, static_cast<size_t>(n));
  return true;
}

bool TerminalProgram::Expect(const std::string& text) {
  for (;;) {
    const size_t at = screen_.find(text, seen_);
    if (at != std::string::npos) {
      seen_ = at + text.size();
      return true;
    }
    if (!ReadSome(20000)) return false;
  }
}

int TerminalProgram::Wait() {
  using std::chrono::milliseconds;
  for (int i = 0; i < 400; ++i) {
    int status = 0;
    while (ReadSome(0)) {
    }
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return CodeOf(status);
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  return -1;
}

}  // namespace slm::testing
