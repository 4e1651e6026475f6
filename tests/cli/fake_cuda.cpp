// The part of CUDA's driver interface that lists cards; FAKE_CUDA is what cuInit returns.
#include <cstdlib>
#include <cstring>

extern "C" {

int cuInit(unsigned) {
  const char* result = std::getenv("FAKE_CUDA");
  return result ? std::atoi(result) : 0;
}

int cuDeviceGetCount(int* count) {
  *count = 2;
  return 0;
}

int cuDeviceGet(int* device, int index) {
  *device = index;
  return 0;
}

int cuDeviceGetName(char* name, int size, int device) {
  std::strncpy(name, device == 0 ? "NVIDIA GeForce RTX 4060 Ti" : "NVIDIA Toaster",
               static_cast<size_t>(size));
  return 0;
}

int cuDeviceTotalMem_v2(size_t* bytes, int) {
  *bytes = size_t{16376} << 20;
  return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == 36 ? 9'001'000 : 128;
  return 0;
}
}
