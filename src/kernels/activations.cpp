#include "kernels/activations.h"

#include "base/error.h"

namespace slm::kernels {

size_t ActRowBytes(ActFormat format, int64_t k) {
  switch (format) {
    case ActFormat::kF32:
      return static_cast<size_t>(k) * sizeof(float);
    case ActFormat::kBf16:
      return static_cast<size_t>(k + k % 2) * sizeof(uint16_t);
    case ActFormat::kAct32:
      return static_cast<size_t>(k / 32) * sizeof(Act32);
    case ActFormat::kAct256:
      return static_cast<size_t>(k / 256) * sizeof(Act256);
    case ActFormat::kWords:
      return static_cast<size_t>(k / kWordBlock) * sizeof(ActWords);
  }
  SLM_CHECK(false);
}

}  // namespace slm::kernels
