// Files and folders of the store: atomic changes, locks, room on the disk. Errors are Error
// kFailed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slm::hub {

// Nothing when there is none or it is no regular file; follows links.
std::optional<uint64_t> FileSize(const std::string& path);

void MakeFolders(const std::string& path);

// Makes the entries of a folder durable.
void SyncFolder(const std::string& path);

// Replaces `path` at once with a file of this content, or a link to `target`.
void WriteFileAtomically(const std::string& path, std::string_view content);
void LinkAtomically(const std::string& path, const std::string& target);

// Up to `max_bytes` of a file, or nothing when it cannot be read.
std::optional<std::string> ReadStart(const std::string& path, size_t max_bytes);

// What an unprivileged process may still write there; nothing when the file system does not say.
std::optional<uint64_t> FreeBytes(const std::string& folder);

// An exclusive lock of flock(2) on a file of its own, which stays behind empty: what the filelock
// package does, so Python's huggingface_hub and this program keep out of each other's way.
class FileLock {
 public:
  // Nothing when another process or thread holds it. Throws Error kFailed when it cannot be made.
  static std::optional<FileLock> Try(const std::string& path);
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace slm::hub
