#include "base/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace slm {
namespace {

TEST(FormatBytes, KeepsThreeDigits) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(1000), "1.00 kB");
  EXPECT_EQ(FormatBytes(12'345'678), "12.3 MB");
  EXPECT_EQ(FormatBytes(999'499'999), "999 MB");
  EXPECT_EQ(FormatBytes(999'999'999), "1.00 GB");
  EXPECT_EQ(FormatBytes(9'996'000), "10.0 MB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "18.4 EB");
}

TEST(ProgressLine, SaysShareRateAndTimeLeft) {
  EXPECT_EQ(ProgressLine("model.gguf", ProgressUnit::kBytes, 0, 25'000'000, 100'000'000, 5, 100),
            "model.gguf  25% 25.0 MB of 100 MB, 5.00 MB/s, 0:15 left");
  // What a resumed download had before says nothing about the rate.
  EXPECT_EQ(ProgressLine("x", ProgressUnit::kBytes, 90'000'000, 95'000'000, 100'000'000, 5, 100),
            "x  95% 95.0 MB of 100 MB, 1.00 MB/s, 0:05 left");
  EXPECT_EQ(ProgressLine("steps", ProgressUnit::kCount, 0, 3, 0, 2, 100), "steps 3, 1.5/s");
  EXPECT_EQ(ProgressLine("x", ProgressUnit::kCount, 0, 0, 10, 0, 100), "x   0% 0 of 10");
}

TEST(ProgressLine, FitsAnyWidthAndShowsNoControlCharacters) {
  for (int columns = -1; columns < 120; ++columns) {
    const std::string line =
        ProgressLine("a\x1b[2J\nvery-long-name-of-a-model.gguf", ProgressUnit::kBytes, 0, 1 << 20,
                     UINT64_MAX, 1e9, columns);
    EXPECT_LE(static_cast<int>(line.size()), std::max(columns, 1));
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    EXPECT_EQ(line.find('\n'), std::string::npos);
  }
}

void Work(int fd, ProgressBar::Rest rest = ProgressBar::Rest::kLine) {
  ProgressBar bar(fd, rest);
  bar.Start("model", ProgressUnit::kBytes, 0, 1000);
  for (uint64_t i = 0; i <= 1000; ++i) bar.Update(i);
  bar.Finish();
}

TEST(ProgressBar, IsSilentWhenItIsNoTerminal) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Work(ends[1]);
  close(ends[1]);
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 0);
  close(ends[0]);
}

TEST(ProgressBar, DrawsOneLineOnATerminal) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
    GTEST_SKIP() << "skipped: no pseudo terminals here";
  const int fd = open(ptsname(terminal), O_RDWR | O_NOCTTY);
  ASSERT_GE(fd, 0);
  const winsize size = {24, 30, 0, 0};
  ASSERT_EQ(ioctl(fd, TIOCSWINSZ, &size), 0);
  Work(fd);
  Work(fd, ProgressBar::Rest::kNothing);
  close(fd);
  std::string shown;
  char text[4096];
  for (ssize_t got; (got = read(terminal, text, sizeof text)) > 0;)
    shown.append(text, static_cast<size_t>(got));
  EXPECT_NE(shown.find("model 100% 1.00 kB of 1.00 kB"), std::string::npos) << shown;
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 1);
  EXPECT_TRUE(shown.ends_with("\r\x1b[K")) << shown;
  EXPECT_LT(std::count(shown.begin(), shown.end(), '\r'), 20);  // not one line for each update
  close(terminal);
}

}  // namespace
}  // namespace slm
