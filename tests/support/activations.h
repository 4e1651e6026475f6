// Rows of activations for a matrix product, as the backend makes them.
#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace slm::testing {

// x, k values, in `format`: ActRowBytes(format, k) bytes at `to`.
void PutActivations(const kernels::KernelTable& table, kernels::ActFormat format, const float* x,
                    int64_t k, uint8_t* to);

}  // namespace slm::testing
