#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace slm {
namespace {

FileStamp StampIn(const struct stat& info) {
  return {static_cast<uint64_t>(info.st_size),
          int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

}  // namespace

void ExplainLostFiles() {
  struct sigaction action = {};
  action.sa_handler = [](int) {
    constexpr char kText[] =
        "\nslm: a file in use can no longer be read: it was cut, or its disk failed. Models are "
        "replaced by renaming, not in place\n";
    [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, kText, sizeof kText - 1);
    _exit(static_cast<int>(Code::kBadInput));
  };
  sigaction(SIGBUS, &action, nullptr);
}

std::optional<FileStamp> StampOf(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return StampIn(info);
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
  // Non-blocking: a pipe that nobody writes to is refused, not waited for.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw Error(Code::kFailed, "{}: cannot open: {}", path, std::strerror(errno));
  struct stat info = {};
  const bool known = fstat(fd, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    close(fd);
    throw Error(Code::kBadInput, "{}: not a regular file", path);
  }
  if (info.st_size == 0) {
    close(fd);
    throw Error(Code::kBadInput, "{}: the file is empty", path);
  }
  stamp_ = StampIn(info);
  size_ = static_cast<size_t>(info.st_size);
  void* map = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) {
    const int problem = errno;
    close(fd);
    throw Error(Code::kFailed, "{}: cannot map {} bytes: {}", path, size_, std::strerror(problem));
  }
  data_ = static_cast<const uint8_t*>(map);
  fd_ = fd;
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<uint8_t*>(data_), size_);
  if (fd_ >= 0) close(fd_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::exchange(other.fd_, -1)),
      stamp_(other.stamp_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(fd_, other.fd_);
  std::swap(stamp_, other.stamp_);
  return *this;
}

void MappedFile::Read(std::span<const uint8_t> part, uint8_t* to) const {
  for (size_t done = 0; done < part.size();) {
    const ssize_t got =
        pread(fd_, to + done, part.size() - done,
              static_cast<off_t>(part.data() - data_ + static_cast<ptrdiff_t>(done)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(Code::kFailed, "{}: cannot read: {}", path_, std::strerror(errno));
    if (got == 0) throw Error(Code::kFailed, "{}: the file was cut while it was in use", path_);
    done += static_cast<size_t>(got);
  }
}

void MappedFile::Release(std::span<const uint8_t> part) const {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(part.data()) + part.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace slm
