// A file that appears under its name only when it is complete; until then it is `<path>.tmp`, which
// is removed when a writer is given up.
#pragma once

#include <cstddef>
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

  void Write(const void* bytes, size_t size);
  void Finish();

 private:
  [[noreturn]] void Fail(const char* action);

  std::string path_, temp_path_;
  std::FILE* file_;  // nullptr: finished
};

}  // namespace slm
