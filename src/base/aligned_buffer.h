// Memory for SIMD: 64-byte aligned, on huge pages where the system has them, zero at first use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace slm {

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // Throws Error kFailed, saying the size, when the system has no room. Pages are taken on first
  // touch.
  explicit AlignedBuffer(size_t bytes);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace slm
