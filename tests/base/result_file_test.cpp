#include "base/result_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm {
namespace {

namespace fs = std::filesystem;

TEST(ResultFileTest, AppearsWhenFinished) {
  const testing::TempFolder folder;
  testing::WriteFile(folder / "result", "before");
  {
    ResultFile file(folder / "result");
    file.Write("ab", 2);
    file.Write("c", 1);
    EXPECT_EQ(testing::ReadFile(folder / "result"), "before");
    file.Finish();
  }
  EXPECT_EQ(testing::ReadFile(folder / "result"), "abc");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

// An input may be called as a temporary file was.
TEST(ResultFileTest, TouchesNoFileThatIsThere) {
  const testing::TempFolder folder;
  const std::string first = fmt::format("result.{}.tmp", getpid());
  testing::WriteFile(folder / "result.tmp", "input");
  testing::WriteFile(folder / first, "input");
  ResultFile file(folder / "result");
  file.Write("abc", 3);
  file.Seek(1);
  file.Write("B", 1);
  file.Complete();
  EXPECT_FALSE(fs::exists(folder / "result"));
  file.Finish();
  EXPECT_EQ(testing::ReadFile(folder / "result"), "aBc");
  EXPECT_EQ(testing::ReadFile(folder / "result.tmp"), "input");
  EXPECT_EQ(testing::ReadFile(folder / first), "input");
}

TEST(ResultFileTest, PartsAreWrittenAnywhere) {
  const testing::TempFolder folder;
  {
    ResultFile file(folder / "result");
    file.Reserve(6);
    file.WriteAt(4, "ef", 2);
    file.WriteAt(0, "abc", 3);
    file.Finish();
  }
  EXPECT_EQ(testing::ReadFile(folder / "result"), std::string("abc\0ef", 6));
}

TEST(ResultFileTest, NoRoomIsSeenBeforeTheWork) {
  const testing::TempFolder folder;
  const auto free = fs::space(folder.path()).available;
  ResultFile file(folder / "result");
  EXPECT_THROW(file.Reserve(free + (uint64_t{1} << 40)), Error);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(ResultFileTest, GivenUpItLeavesNothing) {
  const testing::TempFolder folder;
  { ResultFile(folder / "result").Write("a", 1); }
  EXPECT_TRUE(fs::is_empty(folder.path()));
  EXPECT_THROW(ResultFile(folder / "absent/result"), Error);
}

TEST(ResultFileTest, AKilledProcessLeavesNothing) {
  const testing::TempFolder folder;
  const int probe = open(folder.path().c_str(), O_TMPFILE | O_WRONLY, 0600);
  if (probe < 0) GTEST_SKIP() << "the file system has no files without names";
  close(probe);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ResultFile file(folder / "result");
    file.Write("abc", 3);
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(ResultFileTest, ReplacesOnlyFiles) {
  const testing::TempFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const std::string& path : {folder / "pipe", folder.path(), std::string()}) {
    try {
      ResultFile file(path);
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUsage);
    }
  }
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
}

TEST(ResultFileTest, AFullDiskIsAnErrorWithoutAFile) {
  const testing::TempFolder folder;
  rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {1 << 16, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message;
  try {
    ResultFile file(folder / "result");
    const std::string block(4096, 'x');
    for (int i = 0; i < 100; ++i) file.Write(block.data(), block.size());
    file.Finish();
  } catch (const Error& error) {
    message = error.what();
    EXPECT_EQ(error.code(), Code::kFailed);
  }
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("result: cannot write"), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace slm
