// A file that appears under its name only when it is complete and on the disk. Until then it is
// `<path>.<process>.tmp`, made anew, so that it is no file that is there already, an input for one;
// it is removed when a writer is given up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace slm {

class ResultFile {
 public:
  // All throw Error kFailed, naming the file and the reason, e.g. a full disk.
  explicit ResultFile(std::string path);
  ~ResultFile();
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;

  const std::string& path() const { return path_; }

  void Write(const void* bytes, size_t size);
  void Seek(uint64_t offset);  // from the start, for the next Write

  // Where several files belong together: all that was written is on the disk, nothing can follow.
  void Complete();

  // Completes it and gives it its name.
  void Finish();

 private:
  void Remove();
  [[noreturn]] void Fail(const char* action);

  std::string path_, temp_path_;
  std::FILE* file_ = nullptr;  // until it is complete
  bool is_finished_ = false;
};

}  // namespace slm
