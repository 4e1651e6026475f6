#include "base/reserved_addresses.h"

#include <sys/mman.h>

#include "base/error.h"

namespace slm {

ReservedAddresses::ReservedAddresses(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* data = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) throw Error(Code::kFailed, "no addresses for {} bytes", bytes);
  data_ = static_cast<const uint8_t*>(data);
}

ReservedAddresses::~ReservedAddresses() {
  if (size_ > 0) munmap(const_cast<uint8_t*>(data_), size_);
}

}  // namespace slm
