// The growing file of a download, with the running SHA-256 of what it holds.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "hub/digest.h"

namespace slm::hub {

class PartialFile {
 public:
  // Opens or makes it, and hashes what is there. Throws Error kFailed or kInterrupted.
  PartialFile(const std::string& path, const std::function<bool()>& is_cancelled);
  ~PartialFile();  // an empty file is removed, unless it is finished
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  uint64_t size() const { return size_; }

  // `total` is the size that the file will have, if known. Throws Error kFailed when the disk has
  // no room, saying how much is needed and free; what was written before stays.
  void Append(std::string_view data, std::optional<uint64_t> total);

  // Throws likewise when `total` cannot fit.
  void CheckRoom(uint64_t total) const;

  void Clear();
  std::string FinishSha256() { return hasher_.Finish(); }
  void Finish();  // flushes it to disk

  // The validator of the content so far, kept in <path>.validator; empty when there is none.
  const std::string& validator() const { return validator_; }
  void SetValidator(const std::string& validator);

 private:
  [[noreturn]] void ThrowNoRoom(std::optional<uint64_t> total, const char* reason) const;

  std::string path_, validator_;
  int fd_ = -1;
  bool is_finished_ = false;
  uint64_t size_ = 0;
  Hasher hasher_;
};

}  // namespace slm::hub
