// While one lives, this thread's SIMD floats take subnormals for zero, as inputs and as results:
// what vdpbf16ps does whatever the environment says.
#pragma once

#include <cstdint>

namespace slm::kernels {

class FlushToZero {
 public:
#if defined(__x86_64__)
  FlushToZero() {
    asm volatile("stmxcsr %0" : "=m"(before_)::"memory");
    const uint32_t flushed = before_ | kFlush | kInputs;
    asm volatile("ldmxcsr %0" ::"m"(flushed) : "memory");
  }
  ~FlushToZero() { asm volatile("ldmxcsr %0" ::"m"(before_) : "memory"); }

 private:
  static constexpr uint32_t kFlush = 1u << 15, kInputs = 1u << 6;  // FTZ and DAZ of MXCSR
  uint32_t before_;
#elif defined(__aarch64__)
  FlushToZero() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" ::"r"(before_ | kFlush) : "memory");
  }
  ~FlushToZero() { asm volatile("msr fpcr, %0" ::"r"(before_) : "memory"); }

 private:
  static constexpr uint64_t kFlush = 1u << 24;  // FZ of FPCR
  uint64_t before_;
#endif
 public:
  FlushToZero(const FlushToZero&) = delete;
  FlushToZero& operator=(const FlushToZero&) = delete;
};

}  // namespace slm::kernels
