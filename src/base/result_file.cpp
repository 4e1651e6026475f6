#include "base/result_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace slm {

namespace {

// By this path a file without a name gets one.
std::string PathOf(int descriptor) { return fmt::format("/proc/self/fd/{}", descriptor); }

// nullptr where there is no such thing.
std::FILE* OpenWithoutName(const std::string& path) {
#ifdef O_TMPFILE
  std::string folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  const int descriptor = open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (descriptor < 0) return nullptr;
  if (access(PathOf(descriptor).c_str(), F_OK) == 0) return fdopen(descriptor, "wb");
  close(descriptor);
#endif
  return nullptr;
}

}  // namespace

ResultFile::ResultFile(std::string path) : path_(std::move(path)) {
  // What is renamed over a device takes its place.
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path_, ignored);
  if (path_.empty() || (exists(status) && !is_regular_file(status)))
    throw Error(Code::kUsage, "\"{}\": expected the name of a file to write, got {}", path_,
                path_.empty()          ? "nothing"
                : is_directory(status) ? "a folder"
                                       : "what is not a file");
  file_ = OpenWithoutName(path_);
  if (file_) return;
  TakeName([&](const std::string& name) {
    file_ = std::fopen(name.c_str(), "wbx");
    return file_ != nullptr;
  });
}

template <class TryName>
void ResultFile::TakeName(const TryName& try_name) {
  for (int attempt = 0;; ++attempt) {
    const std::string name = fmt::format("{}.{}{}.tmp", path_, getpid(),
                                         attempt == 0 ? "" : "." + std::to_string(attempt));
    if (try_name(name)) {
      temp_path_ = name;
      return;
    }
    if (errno != EEXIST) Fail("create");
  }
}

ResultFile::~ResultFile() { Remove(); }

void ResultFile::Write(const void* bytes, size_t size) {
  if (std::fwrite(bytes, 1, size, file_) != size) Fail("write");
}

void ResultFile::Seek(uint64_t offset) {
  if (fseeko(file_, static_cast<off_t>(offset), SEEK_SET) != 0) Fail("write");
}

void ResultFile::WriteAt(uint64_t offset, const void* bytes, size_t size) const {
  const auto* from = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t count = pwrite(fileno(file_), from, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    // The destructor cleans up: other threads may be writing.
    if (count < 0) throw Error(Code::kFailed, "{}: cannot write: {}", path_, std::strerror(errno));
    from += count;
    offset += static_cast<uint64_t>(count);
    size -= static_cast<size_t>(count);
  }
}

void ResultFile::Reserve(uint64_t bytes) {
  // Not every file system can; there it shows when the disk is full.
  if (fallocate(fileno(file_), 0, 0, static_cast<off_t>(bytes)) != 0 && errno != EOPNOTSUPP &&
      errno != ENOSYS)
    Fail("write");
}

void ResultFile::Complete() {
  if (!file_) return;
  // Renamed before its bytes are on the disk, a file can be empty after a crash. Some file systems
  // cannot say.
  if (std::fflush(file_) != 0 || (fsync(fileno(file_)) != 0 && errno != EINVAL && errno != ENOTSUP))
    Fail("write");
  if (temp_path_.empty())
    TakeName([&](const std::string& name) {
      return linkat(AT_FDCWD, PathOf(fileno(file_)).c_str(), AT_FDCWD, name.c_str(),
                    AT_SYMLINK_FOLLOW) == 0;
    });
  if (std::fclose(std::exchange(file_, nullptr)) != 0) Fail("write");
}

void ResultFile::Finish() {
  Complete();
  if (std::rename(temp_path_.c_str(), path_.c_str()) != 0) Fail("rename");
  is_finished_ = true;
}

void ResultFile::Remove() {
  if (is_finished_) return;
  if (file_) std::fclose(std::exchange(file_, nullptr));
  if (!temp_path_.empty()) std::remove(temp_path_.c_str());
  is_finished_ = true;
}

void ResultFile::Fail(const char* action) {
  const int problem = errno;
  Remove();
  throw Error(Code::kFailed, "{}: cannot {}: {}", path_, action, std::strerror(problem));
}

}  // namespace slm
