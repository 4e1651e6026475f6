// The built program, run as a user runs it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace slm::testing {

struct ProgramResult {
  int code = -1;  // exit code, or 128 + signal
  std::string out, err;
};

// `environment`: NAME=value, beside what the test has.
ProgramResult RunProgram(const std::vector<std::string>& args, const std::string& input = "",
                         const std::vector<std::string>& environment = {});

// The same for a command that runs the program, SLM_PROGRAM: its first word is a path, too.
ProgramResult RunCommand(const std::vector<std::string>& command, const std::string& input = "",
                         const std::vector<std::string>& environment = {});

// The program on a terminal of its own.
class TerminalProgram {
 public:
  // What it keeps between sessions is in `state`.
  TerminalProgram(const std::vector<std::string>& args, const std::string& state = "/dev/null");
  ~TerminalProgram();
  TerminalProgram(const TerminalProgram&) = delete;
  TerminalProgram& operator=(const TerminalProgram&) = delete;

  void Type(const std::string& keys);
  // Stops the program and lets it go on, as Ctrl-Z and `fg` of a shell, which wants lines
  // meanwhile.
  void StopAndContinue();
  // Reads until `text` has appeared after what was expected before; false when the program ends or
  // is silent for 20 s.
  bool Expect(const std::string& text);
  // The exit code, after the program has ended by itself; -1 when it does not within 20 s.
  int Wait();
  const std::string& screen() const { return screen_; }

 private:
  bool ReadSome(int timeout_ms);

  pid_t pid_ = -1;
  int fd_ = -1;
  std::string screen_;
  size_t seen_ = 0;
};

}  // namespace slm::testing
