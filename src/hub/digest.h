// SHA-256 of a stream, and the SHA-1 by which git names a blob.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace slm::hub {

class Hasher {
 public:
  Hasher();  // SHA-256
  ~Hasher();
  void Update(const void* data, size_t bytes);
  // Lower case hex of all that was given since construction or Reset; then starts anew.
  std::string Finish();
  void Reset();

  struct Context;

 private:
  std::unique_ptr<Context> context_;
};

std::string Sha256(std::string_view text);

// Of a file, read with plain reads. Throws Error kFailed when it cannot be read, kInterrupted when
// `is_cancelled` (may be empty) says so.
std::string FileSha256(const std::string& path, const std::function<bool()>& is_cancelled);

// What git calls the file's content: SHA-1 of "blob <size>\0" and the bytes.
std::string FileGitBlob(const std::string& path, const std::function<bool()>& is_cancelled);

// The one of the two above that `expected` (64 or 40 hex digits) stands for.
std::string FileDigest(const std::string& path, const std::string& expected,
                       const std::function<bool()>& is_cancelled);

}  // namespace slm::hub
