// What the kernels share, and their tables by instruction set; callers use Kernels() of table.h.
#pragma once

#include "kernels/table.h"
#include "quant/nf4_panel.h"
#include "quant/packed.h"

namespace slm::kernels {

// What products with a quantized type read of their activations.
constexpr ActFormat ActFormatOf(quant::Type type) {
  return quant::GridOf(type).block == 32 ? ActFormat::kAct32 : ActFormat::kAct256;
}

const KernelTable& RefTable();
const KernelTable& ScalarTable();
#if defined(__x86_64__)
const KernelTable& Avx2Table();        // needs AVX2, FMA, F16C
const KernelTable& Avx512Table();      // needs AVX-512 F, BW, DQ, VL, VNNI as well
const KernelTable& Avx512Bf16Table();  // needs BF16 as well
#elif defined(__aarch64__)
const KernelTable& NeonTable();
const KernelTable& NeonDotprodTable();  // needs sdot
const KernelTable& NeonI8mmTable();     // needs smmla as well
#endif

}  // namespace slm::kernels
