// A folder that one process at a time writes to: flock(2) on the folder itself, which leaves no
// file behind and ends with the process.
#pragma once

#include <string>

namespace slm {

class FolderLock {
 public:
  // Throws Error kFailed, naming the folder, when another process has it or it cannot be opened.
  // Where the file system has no locks, it is none.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

}  // namespace slm
