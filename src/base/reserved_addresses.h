// Addresses without memory behind them, for what has a size and a place and is never read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slm {

class ReservedAddresses {
 public:
  // More than the machine has memory, if need be. Throws Error kFailed, saying the size, where a
  // limit of the process forbids it. Reading or writing there ends the program.
  explicit ReservedAddresses(size_t bytes);
  ~ReservedAddresses();
  ReservedAddresses(const ReservedAddresses&) = delete;
  ReservedAddresses& operator=(const ReservedAddresses&) = delete;

  const uint8_t* data() const { return data_; }

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace slm
