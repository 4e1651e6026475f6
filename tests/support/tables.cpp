#include "support/tables.h"

#include <vector>

#include "kernels/tables.h"

namespace slm::kernels {
const KernelTable& EmulatedAvx512Table();  // emulated_avx512.cpp
}

namespace slm::testing {

using kernels::KernelTable;

std::span<const KernelTable* const> TablesUnderTest() {
  static const KernelTable emulated = [] {
    KernelTable table = kernels::EmulatedAvx512Table();
    table.isa = "emulated_avx512";
    return table;
  }();
  static const std::vector<const KernelTable*> tables = [] {
    const auto available = kernels::AvailableTables();
    std::vector<const KernelTable*> list(available.begin(), available.end());
    list.push_back(&emulated);
    return list;
  }();
  return tables;
}

std::span<const KernelTable* const> FastTables() { return TablesUnderTest().subspan(2); }

const KernelTable& Scalar() { return kernels::ScalarTable(); }

const KernelTable& Ref() { return kernels::RefTable(); }

}  // namespace slm::testing
