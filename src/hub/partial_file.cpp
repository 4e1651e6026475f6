#include "hub/partial_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "hub/download.h"
#include "hub/file.h"

namespace slm::hub {
namespace {

constexpr size_t kMaxValidatorBytes = 1024;
constexpr size_t kReadBytes = 1 << 20;

std::string ValidatorPath(const std::string& partial) { return partial + ".validator"; }

std::string Folder(const std::string& path) { return std::filesystem::path(path).parent_path(); }

}  // namespace

void RemovePartial(const std::string& partial) {
  unlink(partial.c_str());
  unlink(ValidatorPath(partial).c_str());
}

PartialFile::PartialFile(const std::string& path, const std::function<bool()>& is_cancelled)
    : path_(path) {
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd_ < 0) throw Error(Code::kFailed, "{}: cannot write: {}", path, std::strerror(errno));
  struct stat info = {};
  if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd_);
    throw Error(Code::kFailed, "{}: not a regular file", path);
  }
  try {
    std::vector<char> buffer(info.st_size > 0 ? kReadBytes : 0);
    while (info.st_size > 0) {
      if (is_cancelled && is_cancelled()) throw Error(Code::kInterrupted, "interrupted");
      const ssize_t got = read(fd_, buffer.data(), buffer.size());
      if (got == 0) break;
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error(Code::kFailed, "{}: cannot read: {}", path, std::strerror(errno));
      hasher_.Update(buffer.data(), static_cast<size_t>(got));
      size_ += static_cast<uint64_t>(got);
    }
    if (size_ > 0) validator_ = ReadStart(ValidatorPath(path), kMaxValidatorBytes).value_or("");
  } catch (...) {
    close(fd_);
    throw;
  }
}

PartialFile::~PartialFile() {
  if (fd_ >= 0) close(fd_);
  if (!is_finished_ && size_ == 0) RemovePartial(path_);
}

void PartialFile::Append(std::string_view data, std::optional<uint64_t> total) {
  while (!data.empty()) {
    const ssize_t put = write(fd_, data.data(), data.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        ThrowNoRoom(total, std::strerror(errno));
      throw Error(Code::kFailed, "{}: cannot write: {}", path_, std::strerror(errno));
    }
    // Counted per write: a short write before the disk is full is part of the file.
    const auto bytes = static_cast<size_t>(put);
    hasher_.Update(data.data(), bytes);
    size_ += bytes;
    data.remove_prefix(bytes);
  }
}

void PartialFile::CheckRoom(uint64_t total) const {
  const auto free = FreeBytes(Folder(path_));
  if (free && total > size_ && *free < total - size_) ThrowNoRoom(total, "no room");
}

void PartialFile::ThrowNoRoom(std::optional<uint64_t> total, const char* reason) const {
  const auto free = FreeBytes(Folder(path_));
  std::string text =
      fmt::format("{}: the disk is full or the file may not grow ({}): ", Folder(path_), reason);
  if (total && *total > size_) text += FormatBytes(*total - size_) + " more needed, ";
  text += free ? FormatBytes(*free) + " free" : "free space unknown";
  if (size_ > 0)
    text += fmt::format("; {} are kept, make room and run the same command again to go on",
                        FormatBytes(size_));
  throw Error(Code::kFailed, "{}", text);
}

void PartialFile::Clear() {
  if (ftruncate(fd_, 0) != 0 || lseek(fd_, 0, SEEK_SET) != 0)
    throw Error(Code::kFailed, "{}: cannot empty: {}", path_, std::strerror(errno));
  size_ = 0;
  hasher_.Reset();
  SetValidator("");
}

void PartialFile::Finish() {
  is_finished_ = true;
  if (fsync(fd_) != 0) {
    if (errno == ENOSPC || errno == EDQUOT) ThrowNoRoom(std::nullopt, std::strerror(errno));
    throw Error(Code::kFailed, "{}: cannot flush: {}", path_, std::strerror(errno));
  }
}

void PartialFile::SetValidator(const std::string& validator) {
  if (validator == validator_) return;
  validator_ = validator;
  if (validator.empty() || validator.size() > kMaxValidatorBytes) {
    validator_.clear();
    unlink(ValidatorPath(path_).c_str());
  } else {
    WriteFileAtomically(ValidatorPath(path_), validator);
  }
}

}  // namespace slm::hub
