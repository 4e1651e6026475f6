// The tables for 64-bit Arm. All share the float kernels and the encoders, which are NEON of
// Armv8.0; the products of integers are compiled for every level of dot products.
#include <arm_neon.h>

#if defined(__clang__) && __clang_major__ < 16
#error "arm_neon.h of this clang has no dot products in target regions: use g++ or clang 16"
#endif

#include "base/half.h"
#include "base/target.h"
#include "kernels/flush_to_zero.h"
#include "kernels/tables.h"
#include "kernels/tiles.h"

namespace slm::kernels {

namespace neon {

#include "kernels/simd_neon.h"
//
#include "kernels/float_inl.h"
//
#include "quant/encode_inl.h"
//
#define SLM_NEON_LEVEL 0
#include "kernels/matmul_neon_inl.h"
#undef SLM_NEON_LEVEL

static int64_t ProbeInt8(int64_t rounds) {
  constexpr int kChains = 8;
  int16x8_t sum[kChains];
  SLM_UNROLL
  for (int i = 0; i < kChains; ++i) sum[i] = vdupq_n_s16(static_cast<int16_t>(i));
  int8x16_t w = vdupq_n_s8(3);
  const int8x16_t x = vdupq_n_s8(1);
  for (int64_t i = 0; i < rounds; ++i) {
    SLM_UNROLL
    for (int j = 0; j < kChains; ++j) sum[j] = vmlal_high_s8(sum[j], w, x);
    asm volatile("" : "+w"(w));  // or the product would be computed once
  }
  SLM_UNROLL
  for (int i = 0; i < kChains; ++i) asm volatile("" : "+w"(sum[i]));
  return rounds * kChains * 8;
}

static uint64_t ProbeRead(const uint8_t* data, size_t bytes) {
  uint64x2_t sum[8] = {};
  for (size_t i = 0; i < bytes; i += 128) {
    SLM_UNROLL
    for (size_t j = 0; j < 8; ++j)
      sum[j] = veorq_u64(sum[j], vreinterpretq_u64_u8(vld1q_u8(data + i + 16 * j)));
  }
  SLM_UNROLL
  for (int j = 1; j < 8; ++j) sum[0] = veorq_u64(sum[0], sum[j]);
  return vgetq_lane_u64(sum[0], 0);
}

}  // namespace neon

SLM_TARGET_BEGIN("arch=armv8.2-a+dotprod")
namespace neon_dotprod {

#include "kernels/simd_neon.h"
//
#define SLM_NEON_LEVEL 1
#include "kernels/matmul_neon_inl.h"
#undef SLM_NEON_LEVEL

}  // namespace neon_dotprod
SLM_TARGET_END

SLM_TARGET_BEGIN("arch=armv8.2-a+dotprod+i8mm")
namespace neon_i8mm {

#include "kernels/simd_neon.h"
//
#define SLM_NEON_LEVEL 2
#include "kernels/matmul_neon_inl.h"
#undef SLM_NEON_LEVEL

}  // namespace neon_i8mm
SLM_TARGET_END

const KernelTable& NeonTable() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "neon";
    neon::InstallFloat(&t);
    t.probe_int8 = neon::ProbeInt8;
    t.probe_read = neon::ProbeRead;
    quant::ForQuantizedTypes([&](auto type) {
      t.encode[static_cast<int>(type.value)] = neon::encoding::Encode<type.value>;
    });
    neon::InstallMatMul(&t);
    return t;
  }();
  return table;
}

const KernelTable& NeonDotprodTable() {
  static const KernelTable table = [] {
    KernelTable t = NeonTable();
    t.isa = "neon_dotprod";
    t.probe_int8 = neon_dotprod::ProbeInt8;
    neon_dotprod::InstallMatMul(&t);
    return t;
  }();
  return table;
}

const KernelTable& NeonI8mmTable() {
  static const KernelTable table = [] {
    KernelTable t = NeonTable();
    t.isa = "neon_i8mm";
    t.probe_int8 = neon_i8mm::ProbeInt8;
    neon_i8mm::InstallMatMul(&t);
    return t;
  }();
  return table;
}

}  // namespace slm::kernels
