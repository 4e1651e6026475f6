// What one core of this machine does at best, with the instructions of a table.
#pragma once

#include "base/aligned_buffer.h"
#include "kernel_cases/cases.h"

namespace slm::bench {

// What this process has used: who else runs on the core does not count.
double CpuSeconds();

// Bytes that no cache holds.
size_t MemorySize();

class Prober {
 public:
  explicit Prober(const kernels::KernelTable& table);

  // Per second, of those resources that `work` has any of.
  Amounts Probe(const Amounts& work) const;

 private:
  const kernels::KernelTable& table_;
  int64_t (*probe_f32_)(int64_t rounds);
  int64_t (*probe_bf16_)(int64_t rounds);
  AlignedBuffer memory_;
};

// The probes for multiply-adds from registers: they return their count. Without instructions for
// bfloat16 the second is the first.
int64_t (*FindF32Probe(const kernels::KernelTable& table))(int64_t rounds);
int64_t (*FindBf16Probe(const kernels::KernelTable& table))(int64_t rounds);

}  // namespace slm::bench
