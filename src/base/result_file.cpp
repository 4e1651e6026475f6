#include "base/result_file.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace slm {

ResultFile::ResultFile(std::string path)
    : path_(std::move(path)),
      temp_path_(path_ + ".tmp"),
      file_(std::fopen(temp_path_.c_str(), "wb")) {
  if (!file_) throw Error(Code::kFailed, "{}: cannot create: {}", temp_path_, std::strerror(errno));
}

ResultFile::~ResultFile() {
  if (!file_) return;
  std::fclose(file_);
  std::remove(temp_path_.c_str());
}

void ResultFile::Write(const void* bytes, size_t size) {
  if (std::fwrite(bytes, 1, size, file_) != size) Fail("write");
}

void ResultFile::Finish() {
  if (std::fclose(std::exchange(file_, nullptr)) != 0) Fail("write");
  if (std::rename(temp_path_.c_str(), path_.c_str()) != 0) Fail("rename");
}

void ResultFile::Fail(const char* action) {
  const int problem = errno;
  if (file_) std::fclose(std::exchange(file_, nullptr));
  std::remove(temp_path_.c_str());
  throw Error(Code::kFailed, "{}: cannot {}: {}", temp_path_, action, std::strerror(problem));
}

}  // namespace slm
