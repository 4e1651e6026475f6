// The backward pass on the CPU, on all threads.
#pragma once

#include <memory>

#include "kernels/table.h"
#include "ops/gradients.h"

namespace slm::ops {

std::unique_ptr<Gradients> MakeCpuGradients(const kernels::KernelTable& kernels, ThreadPool* pool);

}  // namespace slm::ops
