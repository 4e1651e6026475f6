// Cards that the driver of CUDA finds on this machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace slm {

struct GpuInfo {
  std::string name;  // "NVIDIA GeForce RTX 4090"
  uint64_t memory_bytes = 0;
  double bytes_per_second = 0;  // nominal: two transfers a clock over the whole bus; 0: not known
};

// None where there is no driver, or it finds no card. Throws kFailed, with the driver's number, for
// one that does not start.
std::vector<GpuInfo> ListGpus();

}  // namespace slm
