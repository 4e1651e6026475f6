// A read-only memory map of a whole file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace slm {

// What tells that a file is no longer the one it was.
struct FileStamp {
  uint64_t bytes = 0;
  int64_t modified_ns = 0;  // Unix time
  bool operator==(const FileStamp&) const = default;
};

// From now on the program says why, and ends with the code of bad input, when a file that it maps
// is cut or its disk fails: the system's answer to reading on is a signal.
void ExplainLostFiles();

// Nothing when there is no such file.
std::optional<FileStamp> StampOf(const std::string& path);

class MappedFile {
 public:
  // Throws Error: kFailed when the file cannot be opened, kBadInput when it is not a regular file
  // or empty.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  const std::string& path() const { return path_; }
  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  const FileStamp& stamp() const { return stamp_; }  // as it was when it was opened

  // Copies bytes of the map, which stay out of what is resident: the system maps up to 2 MB around
  // whatever is read through the map. Throws kFailed when the file was cut.
  void Read(std::span<const uint8_t> part, uint8_t* to) const;

  // Gives the pages wholly inside `part` back to the system; they are read again on the next use.
  void Release(std::span<const uint8_t> part) const;

 private:
  std::string path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  int fd_ = -1;
  FileStamp stamp_;
};

}  // namespace slm
