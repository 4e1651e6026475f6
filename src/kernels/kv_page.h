// Cached keys and values as the attention kernels read them.
#pragma once

#include <cstdint>

namespace slm::kernels {

enum class KvType { kF32, kF16, kQ8_0 };

// A page of one KV head: 64 positions. Elements of K lie as [Dh][64], of V as [64][Dh]. With kQ8_0
// an element is an int8, and every 32 elements along Dh share a half scale: those lie as
// [ceil(Dh/32)][64]. A vector may be read up to 16 elements past the end of V.
inline constexpr int kPagePositions = 64;

struct KvPage {
  KvType k_type, v_type;
  uint8_t* k;
  uint8_t* k_scales;  // halves; only with kQ8_0
  uint8_t* v;
  uint8_t* v_scales;
};

}  // namespace slm::kernels
