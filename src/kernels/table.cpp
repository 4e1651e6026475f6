#include "kernels/table.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "kernels/tables.h"

namespace slm::kernels {

std::span<const KernelTable* const> AvailableTables() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> list = {&RefTable(), &ScalarTable()};
    [[maybe_unused]] const CpuFeatures cpu = DetectCpuFeatures();
#if defined(__x86_64__)
    if (cpu.avx2) list.push_back(&Avx2Table());
    if (cpu.avx512_vnni) list.push_back(&Avx512Table());
    if (cpu.avx512_bf16) list.push_back(&Avx512Bf16Table());
#elif defined(__aarch64__)
    list.push_back(&NeonTable());
    if (cpu.neon_dotprod) list.push_back(&NeonDotprodTable());
    if (cpu.neon_i8mm) list.push_back(&NeonI8mmTable());
#endif
    return list;
  }();
  return tables;
}

const KernelTable& FindTable(std::string_view isa) {
  std::string names;
  for (const KernelTable* table : AvailableTables()) {
    if (table->isa == isa) return *table;
    names += (names.empty() ? "" : ", ") + std::string(table->isa);
  }
  throw Error(Code::kUsage, "SLM_ISA={}: not on this CPU; it has {}", isa, names);
}

const KernelTable& Kernels() {
  static const KernelTable& table = []() -> const KernelTable& {
    const char* isa = std::getenv("SLM_ISA");
    return isa && *isa ? FindTable(isa) : *AvailableTables().back();
  }();
  return table;
}

}  // namespace slm::kernels
