// A page of one KV head with memory of its own, and the value of any element of it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/table.h"

namespace slm::testing {

inline constexpr kernels::KvType kKvTypes[] = {kernels::KvType::kF32, kernels::KvType::kF16,
                                               kernels::KvType::kQ8_0};

const char* NameOf(kernels::KvType type);

// `x` after the rounding of the cache, one value per element; written apart from the kernels.
std::vector<float> RoundToKv(kernels::KvType type, const std::vector<float>& x);

class KvPageBuffer {
 public:
  // Planes are of exactly the size that kernels/kv_page.h states; all bytes are `fill`: with 0xff,
  // whatever is not stored is NaN.
  KvPageBuffer(kernels::KvType k_type, kernels::KvType v_type, int64_t head_dim, uint8_t fill);

  kernels::KvPage page();
  float K(int position, int64_t d) const;
  float V(int position, int64_t d) const;
  bool operator==(const KvPageBuffer& other) const = default;

 private:
  kernels::KvType k_type_, v_type_;
  int64_t head_dim_;
  std::vector<uint8_t> k_, k_scales_, v_, v_scales_;
};

}  // namespace slm::testing
