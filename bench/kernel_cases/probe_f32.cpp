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
  if (table.isa == "avx512") return avx512::ProbeF32;
#elif defined(__aarch64__)
  if (table.isa.starts_with("neon")) return neon::ProbeF32;
#endif
  throw Error(Code::kUsage, "no probe for floats of {}: add it to kernel_cases/probe_f32.cpp",
              table.isa);
}

}  // namespace slm::bench
