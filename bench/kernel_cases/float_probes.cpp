#include "base/error.h"
#include "base/half.h"
#include "base/target.h"
#include "kernel_cases/peaks.h"
#if defined(__x86_64__)
#include "kernels/avx512_intrinsics.h"
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// gcc 12 takes the undefined vectors of its own headers for ours (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace slm::bench {

namespace scalar {
#include "base/simd_scalar.h"
//
#include "kernel_cases/probe_f32_inl.h"
}  // namespace scalar

#if defined(__x86_64__)
SLM_TARGET_BEGIN("avx2,fma,f16c")
namespace avx2 {
#include "kernels/simd_avx2.h"
//
#include "kernel_cases/probe_f32_inl.h"
}  // namespace avx2
SLM_TARGET_END

SLM_AVX512_BEGIN
namespace avx512 {
#include "kernels/simd_avx512.h"
//
#include "kernel_cases/probe_f32_inl.h"
}  // namespace avx512
SLM_AVX512_END

SLM_TARGET_BEGIN("avx512f,avx512bf16")
static int64_t ProbeBf16(int64_t rounds) {
  constexpr int kChains = 16;
  __m512 sum[kChains];
  SLM_UNROLL
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  const auto w = (__m512bh)_mm512_set1_epi32(0x3f003f00);  // 0.5
  for (int64_t i = 0; i < rounds; ++i) {
    SLM_UNROLL
    for (int j = 0; j < kChains; ++j) sum[j] = _mm512_dpbf16_ps(sum[j], w, w);
  }
  SLM_UNROLL
  for (int i = 1; i < kChains; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  volatile float keep = _mm512_reduce_add_ps(sum[0]);
  (void)keep;
  return rounds * kChains * 32;
}
SLM_TARGET_END
#elif defined(__aarch64__)
namespace neon {
#include "kernels/simd_neon.h"
//
#include "kernel_cases/probe_f32_inl.h"
}  // namespace neon
#endif

int64_t (*FindF32Probe(const kernels::KernelTable& table))(int64_t) {
  if (table.isa == "scalar") return scalar::ProbeF32;
#if defined(__x86_64__)
  if (table.isa == "avx2") return avx2::ProbeF32;
  if (table.isa.starts_with("avx512")) return avx512::ProbeF32;
#elif defined(__aarch64__)
  if (table.isa.starts_with("neon")) return neon::ProbeF32;
#endif
  throw Error(Code::kUsage, "no probe for floats of {}: add it to kernel_cases/float_probes.cpp",
              table.isa);
}

int64_t (*FindBf16Probe(const kernels::KernelTable& table))(int64_t) {
#if defined(__x86_64__)
  if (table.isa == "avx512_bf16") return ProbeBf16;
#endif
  return FindF32Probe(table);
}

}  // namespace slm::bench
