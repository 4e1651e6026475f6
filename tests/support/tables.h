// The kernel tables that tests go through: those of this CPU, and the one for AVX-512 in emulation
// (support/avx512_emulation.h), which every machine can test.
#pragma once

#include <span>

#include "kernels/table.h"

namespace slm::testing {

// Slowest first; `ref` and `scalar` are the first two.
std::span<const kernels::KernelTable* const> TablesUnderTest();

// Those that have to give the bits of `scalar`.
std::span<const kernels::KernelTable* const> FastTables();

// The specification.
const kernels::KernelTable& Scalar();

// The float reference.
const kernels::KernelTable& Ref();

}  // namespace slm::testing
