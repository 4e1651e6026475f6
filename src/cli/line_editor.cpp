#include "cli/line_editor.h"

#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <iostream>

#include "cli/interrupt.h"

namespace slm::cli {

struct LineEditor::Terminal {
  EditLine* edit = nullptr;
  History* history = nullptr;
  std::string prompt;
};

namespace {

// libedit asks for the prompt by callback; EL_CLIENTDATA carries it.
char* PromptOf(EditLine* edit) {
  void* prompt = nullptr;
  el_get(edit, EL_CLIENTDATA, &prompt);
  return static_cast<std::string*>(prompt)->data();
}

// libedit's own reader goes on after the first Ctrl-C.
int ReadCharacter(EditLine*, wchar_t* character) {
  std::mbstate_t state = {};
  for (;;) {
    char byte = 0;
    const ssize_t n = read(STDIN_FILENO, &byte, 1);
    if (n < 0 && errno == EINTR && !InterruptGuard::IsInterrupted()) continue;
    if (n <= 0) return static_cast<int>(n);
    const size_t length = std::mbrtowc(character, &byte, 1, &state);
    if (length == static_cast<size_t>(-1)) state = {};  // no character: dropped
    if (length <= 1) return 1;
  }
}

}  // namespace

LineEditor::LineEditor() {
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return;
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
  terminal_ = std::make_unique<Terminal>();
  terminal_->edit = el_init("slm", stdin, stdout, stderr);
  terminal_->history = history_init();
  HistEvent event;
  history(terminal_->history, &event, H_SETSIZE, 1000);
  el_set(terminal_->edit, EL_CLIENTDATA, &terminal_->prompt);
  el_set(terminal_->edit, EL_PROMPT, PromptOf);
  el_set(terminal_->edit, EL_EDITOR, "emacs");
  el_wset(terminal_->edit, EL_GETCFN, ReadCharacter);
  el_set(terminal_->edit, EL_HIST, history, terminal_->history);
}

LineEditor::~LineEditor() {
  if (!terminal_) return;
  history_end(terminal_->history);
  el_end(terminal_->edit);
}

LineEditor::Event LineEditor::Read(const std::string& prompt, std::string* line) {
  InterruptGuard::Clear();
  if (!terminal_) {
    if (!std::getline(std::cin, *line)) return Event::kEnd;
    return Event::kLine;
  }
  terminal_->prompt = prompt;
  int count = 0;
  const char* text = el_gets(terminal_->edit, &count);
  if (InterruptGuard::IsInterrupted()) {
    el_reset(terminal_->edit);
    std::fputs("\n", stdout);
    return Event::kInterrupted;
  }
  if (!text || count <= 0) return Event::kEnd;
  line->assign(text, static_cast<size_t>(count));
  while (!line->empty() && (line->back() == '\n' || line->back() == '\r')) line->pop_back();
  return Event::kLine;
}

void LineEditor::Remember(const std::string& line) {
  if (!terminal_ || line.empty()) return;
  HistEvent event;
  history(terminal_->history, &event, H_ENTER, line.c_str());
}

}  // namespace slm::cli
