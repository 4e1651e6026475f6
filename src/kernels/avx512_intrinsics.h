// The intrinsics of matmul_avx512.cpp and the target region that they need. The tests compile that
// file a second time with SLM_EMULATED_AVX512, in plain C++, for machines without AVX-512.
#pragma once

#include "base/target.h"

#if defined(SLM_EMULATED_AVX512)
#include "support/avx512_emulation.h"
#define SLM_AVX512_BEGIN
#define SLM_AVX512_END
#else
#include <immintrin.h>
#define SLM_AVX512_BEGIN \
  SLM_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define SLM_AVX512_END SLM_TARGET_END
#endif
