#include "support/activations.h"

#include <cstring>

namespace slm::testing {

void PutActivations(const kernels::KernelTable& table, kernels::ActFormat format, const float* x,
                    int64_t k, uint8_t* to) {
  switch (format) {
    case kernels::ActFormat::kF32:
      std::memcpy(to, x, kernels::ActRowBytes(format, k));
      return;
    case kernels::ActFormat::kBf16:
      return table.round_bf16(x, k, reinterpret_cast<uint16_t*>(to));
    case kernels::ActFormat::kAct32:
      return table.quantize_act32(x, k, reinterpret_cast<kernels::Act32*>(to));
    case kernels::ActFormat::kAct256:
      return table.quantize_act256(x, k, reinterpret_cast<kernels::Act256*>(to));
    case kernels::ActFormat::kWords:
      return table.words.round(x, k, reinterpret_cast<kernels::ActWords*>(to));
  }
}

}  // namespace slm::testing
