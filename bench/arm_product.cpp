// One product of one panel on zeros, for bench/peers/arm_mca.py, which follows its instructions:
//   arm_product ISA TYPE COLUMNS K
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/table.h"

// The instructions between two calls are what is measured.
extern "C" __attribute__((noinline)) void Mark() { asm volatile("" ::: "memory"); }

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const slm::kernels::KernelTable& table = slm::kernels::FindTable(argv[1]);
  const int cols = std::atoi(argv[3]);
  const int64_t k = std::atoll(argv[4]);
  for (const slm::quant::TypeTraits& type : slm::quant::AllTypes()) {
    if (std::string_view(type.name) != argv[2]) continue;
    const slm::kernels::MatMulKernel& kernel = table.matmul[static_cast<int>(type.type)];
    const size_t panel_bytes = slm::quant::PanelBytes(type.type, k);
    const size_t stride = slm::kernels::ActRowBytes(kernel.format, k);
    const slm::AlignedBuffer panel(panel_bytes), act(stride * static_cast<size_t>(cols));
    std::vector<float> out(static_cast<size_t>(16 * cols));
    const slm::kernels::MatMulArgs args = {.type = type.type,
                                           .panel = panel.data(),
                                           .rows = 16,
                                           .k = k,
                                           .act = act.data(),
                                           .act_stride = stride,
                                           .cols = cols,
                                           .bias = nullptr,
                                           .out = out.data(),
                                           .out_stride = 16};
    Mark();
    kernel.run(args);
    Mark();
    std::printf("%zu\n", panel_bytes);
    return 0;
  }
  return 2;
}
