// One product of 16 rows by a kernel of llama.cpp on zeros, for arm_mca.py; compiled there.
//   arm_peer KERNEL COLUMNS K
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
__attribute__((noinline)) void Mark() { asm volatile("" ::: "memory"); }

// What the kernels refer to; on zeros the values do not matter.
float ggml_table_f32_f16[1 << 16];

using Kernel = void(int n, float* out, size_t row_elements, const void* weights, const void* act,
                    int columns, int rows);
// clang-format 14 does not come to rest with it.
// clang-format off
#define KERNELS(X) \
  X(q4_0_4x4_q8_0) X(q4_0_4x8_q8_0) X(q4_0_8x8_q8_0) X(q8_0_4x4_q8_0) X(q8_0_4x8_q8_0) \
  X(iq4_nl_4x4_q8_0) X(q4_K_8x4_q8_K) X(q4_K_8x8_q8_K) X(q5_K_8x4_q8_K) X(q5_K_8x8_q8_K) X(q6_K_8x4_q8_K) X(q6_K_8x8_q8_K)
// clang-format on
#define DECLARE(name) Kernel ggml_gemv_##name, ggml_gemm_##name;
KERNELS(DECLARE)
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int columns = std::atoi(argv[2]), k = std::atoi(argv[3]);
  Kernel* kernel = nullptr;
#define FIND(name) \
  if (std::strcmp(argv[1], #name) == 0) kernel = columns == 1 ? ggml_gemv_##name : ggml_gemm_##name;
  KERNELS(FIND)
  if (kernel == nullptr) return 2;
  const auto size = static_cast<size_t>(k);
  void* weights = std::calloc(16 * size, 2);  // more than any type takes
  void* act = std::calloc(static_cast<size_t>(columns) * size, 2);
  auto* out = static_cast<float*>(std::calloc(static_cast<size_t>(columns) * 16, 4));
  Mark();
  kernel(k, out, 16, weights, act, columns, 16);
  Mark();
  return 0;
}
