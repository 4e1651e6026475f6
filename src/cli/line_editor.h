// Lines from a terminal with editing and history (libedit), kept between sessions, or plain lines
// from a pipe. A text of several lines that is pasted stays one line to edit; its line breaks are
// shown as U+23CE.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace slm::cli {

class LineEditor {
 public:
  LineEditor();
  ~LineEditor();

  enum class Event { kLine, kInterrupted, kEnd };  // Enter; Ctrl-C; Ctrl-D or the end of a pipe

  // Without the newline.
  Event Read(const std::string& prompt, std::string* line);
  void Remember(const std::string& line);

  struct Terminal;  // what libedit and its callbacks share

 private:
  std::unique_ptr<Terminal> terminal_;  // null when standard input is no terminal
};

}  // namespace slm::cli
