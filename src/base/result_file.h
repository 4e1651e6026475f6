// A file that appears under its name only when it is complete and on the disk. Until then it has no
// name, where the file system can do that, so that nothing is left however the process ends.
// Elsewhere it is `<path>.<process>.tmp`, made anew, so that it is no file that is there already,
// an input for one; it is removed when a writer is given up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace slm {

class ResultFile {
 public:
  // All throw Error kFailed, naming the file and the reason, e.g. a full disk; this one kUsage for
  // a folder, a device or a pipe.
  explicit ResultFile(std::string path);
  ~ResultFile();
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;

  const std::string& path() const { return path_; }

  void Write(const void* bytes, size_t size);
  void Seek(uint64_t offset);  // from the start, for the next Write

  // The same at a place of its own, for many threads at once.
  void WriteAt(uint64_t offset, const void* bytes, size_t size) const;
  // The file will have this many bytes: fails now when there is no room for them.
  void Reserve(uint64_t bytes);

  // Where several files belong together: all that was written is on the disk, nothing can follow.
  void Complete();

  // Completes it and gives it its name.
  void Finish();

 private:
  // The next name that no file has: `try_name` returns whether it could be taken, and sets errno.
  template <class TryName>
  void TakeName(const TryName& try_name);
  void Remove();
  [[noreturn]] void Fail(const char* action);

  std::string path_;
  std::string temp_path_;      // empty: no name yet
  std::FILE* file_ = nullptr;  // until it is complete
  bool is_finished_ = false;
};

}  // namespace slm
