#include "base/gpus.h"

#include <array>

#include "base/error.h"
#include "base/shared_object.h"

namespace slm {
namespace {

// Of CUDA's driver interface (cuda.h), which stays as it is.
constexpr const char* kDriver = "libcuda.so.1";
constexpr int kNoDevice = 100, kMemoryClockKilohertz = 36, kMemoryBusBits = 37;

template <class... Args>
auto Function(const char* name) {
  return reinterpret_cast<int (*)(Args...)>(LoadSymbol(kDriver, name));
}

template <class... Args>
void Call(const char* name, Args... args) {
  if (const int result = Function<Args...>(name)(args...); result != 0)
    throw Error(Code::kFailed, "{}: {} failed with {}", kDriver, name, result);
}

GpuInfo Describe(int index) {
  int device = 0, clock = 0, bits = 0;
  Call("cuDeviceGet", &device, index);
  std::array<char, 256> name{};
  Call("cuDeviceGetName", name.data(), static_cast<int>(name.size()) - 1, device);
  size_t bytes = 0;
  Call("cuDeviceTotalMem_v2", &bytes, device);
  Call("cuDeviceGetAttribute", &clock, kMemoryClockKilohertz, device);
  Call("cuDeviceGetAttribute", &bits, kMemoryBusBits, device);
  return {name.data(), bytes, 2e3 * clock * bits / 8};
}

}  // namespace

std::vector<GpuInfo> ListGpus() {
  int (*start)(unsigned) = nullptr;
  try {
    start = Function<unsigned>("cuInit");
  } catch (const Error&) {
    return {};  // no driver
  }
  const int started = start(0);
  if (started == kNoDevice) return {};
  if (started != 0) throw Error(Code::kFailed, "{}: cuInit failed with {}", kDriver, started);
  int count = 0;
  Call("cuDeviceGetCount", &count);
  std::vector<GpuInfo> gpus;
  for (int i = 0; i < count; ++i) gpus.push_back(Describe(i));
  return gpus;
}

}  // namespace slm
