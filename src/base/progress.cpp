#include "base/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace slm {
namespace {

constexpr auto kRedrawInterval = std::chrono::milliseconds(100);
constexpr int kDefaultColumns = 80;

std::string FormatAmount(ProgressUnit unit, uint64_t amount) {
  return unit == ProgressUnit::kBytes ? FormatBytes(amount) : fmt::format("{}", amount);
}

// Multi-byte characters have no known width here, so they are shown as '?' as well.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return text;
}

}  // namespace

std::string FormatBytes(uint64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, kUnits[unit]);
}

std::string FormatDuration(double seconds) {
  const auto s = static_cast<uint64_t>(std::min(seconds, 359999.0));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string ProgressLine(const std::string& what, ProgressUnit unit, uint64_t begin, uint64_t done,
                         uint64_t total, double elapsed_s, int columns) {
  std::string facts = FormatAmount(unit, done);
  if (total > 0) {
    const double share = std::min(
        1.0, static_cast<double>(done) / static_cast<double>(std::max<uint64_t>(total, 1)));
    facts = fmt::format("{:3}% {} of {}", static_cast<int>(share * 100), facts,
                        FormatAmount(unit, total));
  }
  const double gained = done > begin ? static_cast<double>(done - begin) : 0;
  if (elapsed_s > 0.5 && gained > 0) {
    const double rate = gained / elapsed_s;
    facts += unit == ProgressUnit::kBytes
                 ? fmt::format(", {}/s", FormatBytes(static_cast<uint64_t>(rate)))
                 : fmt::format(", {:.1f}/s", rate);
    if (total > done)
      facts += fmt::format(", {} left", FormatDuration(static_cast<double>(total - done) / rate));
  }
  const size_t width = static_cast<size_t>(std::max(columns, 1));
  if (facts.size() >= width) return facts.substr(0, width);
  std::string name = Printable(what);
  const size_t room = width - facts.size() - 1;
  if (name.size() > room) name = room > 2 ? name.substr(0, room - 2) + ".." : std::string();
  return name.empty() ? facts : name + " " + facts;
}

ProgressBar::ProgressBar(int fd, Rest rest) : fd_(fd), rest_(rest), is_terminal_(isatty(fd) == 1) {}

ProgressBar::~ProgressBar() { Finish(); }

void ProgressBar::Start(const std::string& what, ProgressUnit unit, uint64_t done, uint64_t total) {
  Finish();
  what_ = what;
  unit_ = unit;
  begin_ = done_ = done;
  total_ = total;
  is_running_ = true;
  started_ = std::chrono::steady_clock::now();
  Draw(started_);
}

void ProgressBar::Update(uint64_t done) {
  done_ = done;
  if (!is_terminal_ || !is_running_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - drawn_ >= kRedrawInterval) Draw(now);
}

void ProgressBar::Finish() {
  if (!is_running_) return;
  is_running_ = false;
  if (rest_ == Rest::kNothing) return Clear();
  Draw(std::chrono::steady_clock::now());
  if (is_terminal_ && write(fd_, "\n", 1) < 0) is_terminal_ = false;
}

void ProgressBar::Clear() {
  constexpr std::string_view kErase = "\r\x1b[K";
  drawn_ = {};
  if (is_terminal_ && write(fd_, kErase.data(), kErase.size()) < 0) is_terminal_ = false;
}

void ProgressBar::Draw(std::chrono::steady_clock::time_point now) {
  if (!is_terminal_) return;
  drawn_ = now;
  winsize size = {};
  const bool known = ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  // The last column stays empty: many terminals wrap when it is written.
  const int columns = (known ? size.ws_col : kDefaultColumns) - 1;
  const double elapsed_s = std::chrono::duration<double>(now - started_).count();
  const std::string line = fmt::format(
      "\r{}\x1b[K", ProgressLine(what_, unit_, begin_, done_, total_, elapsed_s, columns));
  if (write(fd_, line.data(), line.size()) < 0) is_terminal_ = false;
}

}  // namespace slm
