#include "hub/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"

namespace slm::hub {
namespace {

// Unique among processes and threads.
std::string TemporaryName(const std::string& path) {
  static std::atomic<unsigned> counter = 0;
  return fmt::format("{}.tmp-{}-{}", path, getpid(), counter++);
}

void RenameOver(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0) return;
  const int problem = errno;
  unlink(from.c_str());
  throw Error(Code::kFailed, "{}: cannot write: {}", to, std::strerror(problem));
}

}  // namespace

std::optional<uint64_t> FileSize(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return static_cast<uint64_t>(info.st_size);
}

void MakeFolders(const std::string& path) {
  std::error_code problem;
  std::filesystem::create_directories(path, problem);
  if (problem)
    throw Error(Code::kFailed, "{}: cannot make the folder: {}", path, problem.message());
}

void SyncFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);  // some file systems refuse it on folders, which does no harm
  close(fd);
}

void WriteFileAtomically(const std::string& path, std::string_view content) {
  const std::string temporary = TemporaryName(path);
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) throw Error(Code::kFailed, "{}: cannot write: {}", path, std::strerror(errno));
  const bool is_written =
      write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      fsync(fd) == 0;
  const int problem = errno;
  close(fd);
  if (!is_written) {
    unlink(temporary.c_str());
    throw Error(Code::kFailed, "{}: cannot write: {}", path, std::strerror(problem));
  }
  RenameOver(temporary, path);
}

void LinkAtomically(const std::string& path, const std::string& target) {
  const std::string temporary = TemporaryName(path);
  if (symlink(target.c_str(), temporary.c_str()) != 0)
    throw Error(Code::kFailed,
                "{}: cannot make a link: {}; the cache needs a file system with "
                "symbolic links",
                path, std::strerror(errno));
  RenameOver(temporary, path);
}

std::optional<std::string> ReadStart(const std::string& path, size_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  std::string text(max_bytes, '\0');
  const ssize_t got = read(fd, text.data(), text.size());
  close(fd);
  if (got < 0) return std::nullopt;
  text.resize(static_cast<size_t>(got));
  return text;
}

std::optional<uint64_t> FreeBytes(const std::string& folder) {
  struct statvfs info = {};
  if (statvfs(folder.c_str(), &info) != 0 || info.f_blocks == 0) return std::nullopt;
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

std::optional<FileLock> FileLock::Try(const std::string& path) {
  MakeFolders(std::filesystem::path(path).parent_path());
  for (;;) {
    FileLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (lock.fd_ < 0)
      throw Error(Code::kFailed, "{}: cannot open the lock file: {}", path, std::strerror(errno));
    if (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::nullopt;
      if (errno == EINTR) continue;
      throw Error(Code::kFailed, "{}: cannot lock: {}", path, std::strerror(errno));
    }
    // Some versions of filelock delete the file on release: a lock on a name that is gone is none.
    struct stat mine = {}, named = {};
    if (fstat(lock.fd_, &mine) == 0 && stat(path.c_str(), &named) == 0 &&
        mine.st_ino == named.st_ino && mine.st_dev == named.st_dev)
      return lock;
  }
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace slm::hub
