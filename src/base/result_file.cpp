#include "base/result_file.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace slm {

ResultFile::ResultFile(std::string path) : path_(std::move(path)) {
  for (int attempt = 0; !file_; ++attempt) {
    temp_path_ = fmt::format("{}.{}{}.tmp", path_, getpid(),
                             attempt == 0 ? "" : "." + std::to_string(attempt));
    file_ = std::fopen(temp_path_.c_str(), "wbx");
    if (!file_ && errno != EEXIST)
      throw Error(Code::kFailed, "{}: cannot create: {}", path_, std::strerror(errno));
  }
}

ResultFile::~ResultFile() { Remove(); }

void ResultFile::Write(const void* bytes, size_t size) {
  if (std::fwrite(bytes, 1, size, file_) != size) Fail("write");
}

void ResultFile::Seek(uint64_t offset) {
  if (fseeko(file_, static_cast<off_t>(offset), SEEK_SET) != 0) Fail("write");
}

void ResultFile::Complete() {
  if (!file_) return;
  // Renamed before its bytes are on the disk, a file can be empty after a crash. Some file systems
  // cannot say.
  if (std::fflush(file_) != 0 || (fsync(fileno(file_)) != 0 && errno != EINVAL && errno != ENOTSUP))
    Fail("write");
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
  std::remove(temp_path_.c_str());
  is_finished_ = true;
}

void ResultFile::Fail(const char* action) {
  const int problem = errno;
  Remove();
  throw Error(Code::kFailed, "{}: cannot {}: {}", path_, action, std::strerror(problem));
}

}  // namespace slm
