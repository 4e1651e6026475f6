// What kernel_bench measures: kernels on data of real sizes, with the work that one run of them is.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/table.h"

namespace slm::bench {

// What work may be bound by: multiply-adds of 8-bit integers, of bfloat16 by instructions for it,
// and of floats (any other operation on floats counts as one, too), bytes read from memory, bytes
// read and written in the first cache.
enum Resource { kInt8, kBf16, kF32, kMemory, kCache, kResources };
using Amounts = std::array<double, kResources>;

struct Case {
  Amounts work = {};  // of one run
  std::function<void()> run;
  // What the kernel gave, and what the specification gives: begins with the same bytes.
  std::vector<uint8_t> got, expected;
};

struct NamedCase {
  std::string name;
  std::function<Case(const kernels::KernelTable&)> make;
};

std::vector<NamedCase> MatMulCases();
std::vector<NamedCase> RowCases();
std::vector<NamedCase> AttentionCases();

}  // namespace slm::bench
