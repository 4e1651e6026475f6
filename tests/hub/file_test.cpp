#include "hub/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "base/error.h"
#include "hub/digest.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::hub {
namespace {

TEST(Digest, KnownVectors) {
  EXPECT_EQ(Sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const testing::TempFolder folder;
  testing::WriteFile(folder / "a", "abc");
  EXPECT_EQ(FileSha256(folder / "a", {}), Sha256("abc"));
  testing::WriteFile(folder / "b", "hello\n");  // git hash-object
  EXPECT_EQ(FileGitBlob(folder / "b", {}), "ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_THROW(FileSha256(folder / "none", {}), Error);
  try {
    FileSha256(folder / "a", [] { return true; });
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInterrupted);
  }
}

TEST(Digest, AHasherCanBeUsedAgain) {
  Hasher hasher;
  hasher.Update("ab", 2);
  hasher.Reset();
  hasher.Update("ab", 2);
  hasher.Update("c", 1);
  EXPECT_EQ(hasher.Finish(), Sha256("abc"));
  EXPECT_EQ(hasher.Finish(), Sha256(""));
}

TEST(FileLock, KeepsOutOtherThreadsAndProcesses) {
  const testing::TempFolder folder;
  const std::string path = folder / "deep/x.lock";
  {
    const auto lock = FileLock::Try(path);
    ASSERT_TRUE(lock);
    std::thread([&] { EXPECT_FALSE(FileLock::Try(path)); }).join();
    const pid_t child = fork();
    if (child == 0) _exit(FileLock::Try(path) ? 1 : 0);
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_TRUE(FileLock::Try(path));
}

TEST(FileLock, ADeadProcessHoldsNothing) {
  const testing::TempFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = FileLock::Try(folder / "x.lock");
    _exit(lock ? 0 : 1);  // without any clean-up
  }
  int status = -1;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(FileLock::Try(folder / "x.lock"));
}

TEST(FileLock, AFileThatWasReplacedIsAnotherLock) {
  const testing::TempFolder folder;
  const auto first = FileLock::Try(folder / "x.lock");
  ASSERT_TRUE(first);
  std::filesystem::remove(folder / "x.lock");
  const auto second = FileLock::Try(folder / "x.lock");
  ASSERT_TRUE(second);
  EXPECT_FALSE(FileLock::Try(folder / "x.lock"));
}

TEST(File, AtomicWritesLeaveNoPieces) {
  const testing::TempFolder folder;
  WriteFileAtomically(folder / "a", "one");
  WriteFileAtomically(folder / "a", "two");
  EXPECT_EQ(testing::ReadFile(folder / "a"), "two");
  LinkAtomically(folder / "l", "nowhere");
  LinkAtomically(folder / "l", "a");
  EXPECT_EQ(testing::ReadFile(folder / "l"), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
  // In the way of the rename is a folder: an error, and nothing left behind.
  MakeFolders(folder / "d");
  EXPECT_THROW(WriteFileAtomically(folder / "d", "x"), Error);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 3);
  EXPECT_THROW(MakeFolders(folder / "a/b"), Error);
}

TEST(File, SizesAndStarts) {
  const testing::TempFolder folder;
  testing::WriteFile(folder / "a", "12345");
  EXPECT_EQ(FileSize(folder / "a"), 5u);
  EXPECT_FALSE(FileSize(folder.path()));
  EXPECT_FALSE(FileSize(folder / "none"));
  EXPECT_EQ(ReadStart(folder / "a", 3), "123");
  EXPECT_EQ(ReadStart(folder / "a", 99), "12345");
  EXPECT_FALSE(ReadStart(folder / "none", 3));
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);  // must not block
  EXPECT_FALSE(FileSize(folder / "pipe"));
  EXPECT_EQ(ReadStart(folder / "pipe", 3), "");
  EXPECT_GT(FreeBytes(folder.path()).value_or(0), 0u);
}

}  // namespace
}  // namespace slm::hub
