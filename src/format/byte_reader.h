// A cursor over untrusted little-endian bytes. Nothing is read past the end: it throws instead,
// naming the file, the subject at hand and the byte offset.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.h"

namespace slm::format {

static_assert(std::endian::native == std::endian::little, "file formats here are little-endian");

// Text from a file for use in a message: quoted, unprintable bytes escaped, at most 80 of them.
std::string Quoted(std::string_view text);

class ByteReader {
 public:
  // `path` is for messages. Neither argument is copied.
  ByteReader(const std::string& path, std::span<const uint8_t> bytes)
      : path_(path), bytes_(bytes) {}

  size_t offset() const { return offset_; }
  size_t remaining() const { return bytes_.size() - offset_; }
  const std::string& path() const { return path_; }

  // What is being read ("key 'general.name'"), for messages.
  void set_subject(std::string subject) { subject_ = std::move(subject); }

  // `what` completes "expected ...": a literal, so that the common case costs nothing.
  template <class T>
  requires std::is_arithmetic_v<T> T Read(const char* what) {
    T value;
    std::memcpy(&value, Take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  std::span<const uint8_t> Take(uint64_t count, const char* what) {
    if (count > remaining()) FailShort(count, what);
    const auto taken = bytes_.subspan(offset_, static_cast<size_t>(count));
    offset_ += taken.size();
    return taken;
  }

  // A 64-bit length and that many bytes.
  std::string_view ReadString(const char* what) {
    const auto taken = Take(Read<uint64_t>(what), what);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

  // Throws kBadInput about the bytes at `offset`.
  template <class... Args>
  [[noreturn]] void Fail(size_t offset, fmt::format_string<Args...> format, Args&&... args) const {
    FailWith(Code::kBadInput, offset, fmt::format(format, std::forward<Args>(args)...));
  }

  [[noreturn]] void FailWith(Code code, size_t offset, const std::string& message) const;

 private:
  [[noreturn]] void FailShort(uint64_t count, const char* what) const;

  const std::string& path_;
  std::span<const uint8_t> bytes_;
  size_t offset_ = 0;
  std::string subject_ = "header";
};

}  // namespace slm::format
