// src/kernels/matmul_avx512.cpp once more, over intrinsics in plain C++ and under other names.
#define SLM_EMULATED_AVX512
#define avx512 emulated_avx512  // the namespace
#define Avx512Table EmulatedAvx512Table

#include "kernels/matmul_avx512.cpp"
