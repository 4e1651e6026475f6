#include "base/aligned_buffer.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace slm {

AlignedBuffer::AlignedBuffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  constexpr size_t kHugePage = size_t{2} << 20;
  void* map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED)
    throw Error(Code::kFailed, "cannot allocate {} bytes: {}", bytes, std::strerror(errno));
  data_ = static_cast<uint8_t*>(map);
  // Small buffers would be rounded up to a huge page each.
  if (bytes >= 4 * kHugePage) madvise(map, bytes, MADV_HUGEPAGE);
}

AlignedBuffer::~AlignedBuffer() {
  if (data_) munmap(data_, size_);
}

}  // namespace slm
