// How a layer's keys and values lie in memory: pages of 64 positions, in a page one part per KV
// head, in a part the planes of kernels::KvPage.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kv_page.h"

namespace slm::ops {

struct KvLayout {
  kernels::KvType k_type = kernels::KvType::kF16;
  kernels::KvType v_type = kernels::KvType::kF16;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;

  size_t head_bytes() const {
    return PlaneBytes(k_type) + ScaleBytes(k_type) + PlaneBytes(v_type) + ScaleBytes(v_type);
  }
  size_t page_bytes() const { return head_bytes() * static_cast<size_t>(kv_heads); }

  kernels::KvPage Head(uint8_t* page, int64_t head) const {
    uint8_t* k = page + head_bytes() * static_cast<size_t>(head);
    uint8_t* v = k + PlaneBytes(k_type) + ScaleBytes(k_type);
    return {k_type, v_type, k, k + PlaneBytes(k_type), v, v + PlaneBytes(v_type)};
  }

 private:
  // 64 bytes more than the elements: kernels may read a vector past the end.
  size_t PlaneBytes(kernels::KvType type) const {
    const size_t element = type == kernels::KvType::kF32   ? 4
                           : type == kernels::KvType::kF16 ? 2
                                                           : 1;
    return static_cast<size_t>(kernels::kPagePositions * head_dim) * element + 64;
  }
  size_t ScaleBytes(kernels::KvType type) const {
    if (type != kernels::KvType::kQ8_0) return 0;
    return static_cast<size_t>((head_dim + 31) / 32 * kernels::kPagePositions) * 2;
  }
};

}  // namespace slm::ops
