// Progress of long work. Library code takes a Progress* (null: nobody watches) and never prints;
// the command line hands it a ProgressBar.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace slm {

enum class ProgressUnit { kBytes, kCount };

// Called from one thread at a time. A new Start() ends what went before.
class Progress {
 public:
  virtual ~Progress() = default;
  // `total` 0: unknown. `done` is where the work stands already, e.g. a resumed download.
  virtual void Start(const std::string& what, ProgressUnit unit, uint64_t done, uint64_t total) = 0;
  // Cheap: may be called for every block of work.
  virtual void Update(uint64_t done) = 0;
  virtual void Finish() = 0;
};

// "512 B", "1.50 kB", "12.3 MB", "4.66 GB": three significant digits, powers of 1000.
std::string FormatBytes(uint64_t bytes);

// "0:07", "12:34", "1:02:03".
std::string FormatDuration(double seconds);

// One line for a terminal, at most `columns` wide, ASCII: name, share, amount, rate, time left.
// `begin` is what was done before `elapsed_s` began; control characters of `what` become '?'.
std::string ProgressLine(const std::string& what, ProgressUnit unit, uint64_t begin, uint64_t done,
                         uint64_t total, double elapsed_s, int columns);

// Redraws one line of a terminal, at most ten times a second. Silent when `fd` is not a terminal,
// so that logs stay clean.
class ProgressBar : public Progress {
 public:
  // What stays when the work is done: the last line, as of a download, or nothing.
  enum class Rest { kLine, kNothing };
  explicit ProgressBar(int fd = 2, Rest rest = Rest::kLine);
  ~ProgressBar() override;
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Start(const std::string& what, ProgressUnit unit, uint64_t done, uint64_t total) override;
  void Update(uint64_t done) override;
  void Finish() override;
  // Erases the line, so that something else can be printed; the next Update() draws it again.
  void Clear();

 private:
  void Draw(std::chrono::steady_clock::time_point now);

  int fd_;
  Rest rest_;
  bool is_terminal_;
  bool is_running_ = false;
  std::string what_;
  ProgressUnit unit_ = ProgressUnit::kCount;
  uint64_t begin_ = 0, done_ = 0, total_ = 0;
  std::chrono::steady_clock::time_point started_, drawn_;
};

}  // namespace slm
