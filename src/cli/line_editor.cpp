#include "cli/line_editor.h"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "cli/interrupt.h"

namespace slm::cli {

struct LineEditor::Terminal {
  EditLine* edit = nullptr;
  History* history = nullptr;
  std::string prompt;
  std::string history_file;  // "": none
  bool has_paste = false;    // the terminal marks what is pasted when asked to
};

namespace {

// What a terminal in this mode puts around what is pasted ("bracketed paste").
constexpr char kPasteOn[] = "\x1b[?2004h", kPasteOff[] = "\x1b[?2004l";
constexpr char kPasteBegin[] = "\\e[200~";  // as libedit writes keys
constexpr std::wstring_view kPasteEnd = L"\x1b[201~";
constexpr int kPollMs = 100;
constexpr wchar_t kShownBreak = L'\x23ce';
constexpr std::string_view kShownBreakBytes = "\xe2\x8f\x8e";

volatile std::sig_atomic_t was_stopped = 0;

void OnContinue(int) { was_stopped = 1; }

// After a Ctrl-Z and `fg` the terminal is as the shell has left it: raw again, and the line shown.
void Resume(EditLine* edit, bool has_paste) {
  was_stopped = 0;
  if (has_paste) std::fputs(kPasteOn, stdout);
  el_set(edit, EL_PREP_TERM, 0);  // or it would be taken to be raw still
  el_set(edit, EL_PREP_TERM, 1);
  el_set(edit, EL_REFRESH);
}

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// Where what was typed is kept between sessions, by the XDG base directory specification; "" when
// there is no such place.
std::string HistoryFile() {
  const auto of = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value ? value : "");
  };
  std::filesystem::path folder = of("XDG_STATE_HOME");
  if (!folder.is_absolute()) folder = of("HOME") / ".local/state";
  if (!folder.is_absolute()) return "";
  std::error_code problem;
  std::filesystem::create_directories(folder / "slm", problem);
  return problem ? "" : folder / "slm/chat_history";
}

// EL_CLIENTDATA carries it into the callbacks of libedit.
LineEditor::Terminal* TerminalOf(EditLine* edit) {
  void* terminal = nullptr;
  el_get(edit, EL_CLIENTDATA, &terminal);
  return static_cast<LineEditor::Terminal*>(terminal);
}

char* PromptOf(EditLine* edit) { return TerminalOf(edit)->prompt.data(); }

// libedit's own reader goes on after the first Ctrl-C.
int ReadCharacter(EditLine* edit, wchar_t* character) {
  std::mbstate_t state = {};
  for (;;) {
    if (InterruptGuard::IsInterrupted()) {
      errno = EINTR;
      return -1;
    }
    if (was_stopped) Resume(edit, TerminalOf(edit)->has_paste);
    // A Ctrl-C that comes just before a read() would leave it waiting; here it is seen soon.
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    if (poll(&input, 1, kPollMs) <= 0) continue;
    char byte = 0;
    const ssize_t n = read(STDIN_FILENO, &byte, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return static_cast<int>(n);
    const size_t length = std::mbrtowc(character, &byte, 1, &state);
    if (length == static_cast<size_t>(-1)) state = {};  // no character: dropped
    if (length <= 1) return 1;
  }
}

// libedit calls it for kPasteBegin: what follows is text, whatever keys it looks like.
unsigned char InsertPaste(EditLine* edit, int) {
  std::wstring text;
  while (!text.ends_with(kPasteEnd)) {
    wchar_t character = 0;
    if (el_wgetc(edit, &character) != 1) return CC_EOF;
    if (character == L'\r' || character == L'\n') character = kShownBreak;
    if (character != 0) text += character;
  }
  text.resize(text.size() - kPasteEnd.size());
  return el_winsertstr(edit, text.c_str()) == 0 || text.empty() ? CC_REFRESH : CC_ERROR;
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
  history(terminal_->history, &event, H_SETUNIQUE, 1);
  terminal_->history_file = HistoryFile();
  if (!terminal_->history_file.empty())
    history(terminal_->history, &event, H_LOAD, terminal_->history_file.c_str());
  el_set(terminal_->edit, EL_CLIENTDATA, terminal_.get());
  el_set(terminal_->edit, EL_PROMPT, PromptOf);
  el_set(terminal_->edit, EL_EDITOR, "emacs");
  el_wset(terminal_->edit, EL_GETCFN, ReadCharacter);
  el_set(terminal_->edit, EL_HIST, history, terminal_->history);
  // Not el_set, which leaks the copies that it makes of the names.
  el_wset(terminal_->edit, EL_ADDFN, L"insert-paste", L"Insert what is pasted", InsertPaste);
  el_set(terminal_->edit, EL_BIND, kPasteBegin, "insert-paste", nullptr);
  const char* kind = std::getenv("TERM");
  terminal_->has_paste = kind && std::string_view(kind) != "dumb";
  std::signal(SIGCONT, OnContinue);
}

LineEditor::~LineEditor() {
  if (!terminal_) return;
  HistEvent event;  // the file is for its owner alone; that it cannot be written is no harm
  if (!terminal_->history_file.empty())
    history(terminal_->history, &event, H_SAVE, terminal_->history_file.c_str());
  history_end(terminal_->history);
  el_end(terminal_->edit);
}

LineEditor::Event LineEditor::Read(const std::string& prompt, std::string* line) {
  InterruptGuard::Clear();
  was_stopped = 0;  // it was while the answer came
  if (!terminal_) {
    if (!std::getline(std::cin, *line)) return Event::kEnd;
    return Event::kLine;
  }
  terminal_->prompt = prompt;
  int count = 0;
  const auto say = [&](const char* mode) {
    if (!terminal_->has_paste) return;
    std::fputs(mode, stdout);
    std::fflush(stdout);
  };
  say(kPasteOn);
  // Before the prompt is shown: libedit does it after that, and a Ctrl-D between the two is lost.
  el_set(terminal_->edit, EL_PREP_TERM, 1);
  const char* text = el_gets(terminal_->edit, &count);
  say(kPasteOff);
  if (InterruptGuard::IsInterrupted()) {
    el_reset(terminal_->edit);
    std::clearerr(stdout);  // a write that the Ctrl-C cut short
    std::fputs("\n", stdout);
    return Event::kInterrupted;
  }
  if (!text || count <= 0) {
    std::fputs("\n", stdout);
    return Event::kEnd;
  }
  line->assign(text, static_cast<size_t>(count));
  while (!line->empty() && (line->back() == '\n' || line->back() == '\r')) line->pop_back();
  *line = Replaced(*line, kShownBreakBytes, "\n");
  return Event::kLine;
}

void LineEditor::Remember(const std::string& line) {
  if (!terminal_ || line.empty()) return;
  HistEvent event;
  history(terminal_->history, &event, H_ENTER, Replaced(line, "\n", kShownBreakBytes).c_str());
}

}  // namespace slm::cli
