// What this machine is and what this process may use of it. Only src/base asks the system.
#pragma once

#include <cstdint>
#include <string>

namespace slm {

struct CpuFeatures {
  bool avx2 = false;          // with FMA and F16C, which came before it
  bool avx512_vnni = false;   // AVX-512 F, BW, DQ, VL and VNNI
  bool avx512_bf16 = false;   // and BF16
  bool neon_dotprod = false;  // Arm's sdot
  bool neon_i8mm = false;     // sdot and smmla
};

CpuFeatures DetectCpuFeatures();

// Where the kernel has no name for the CPU, of the board. `root`: the folder that has /proc and
// /sys; tests make their own.
std::string CpuName(const std::string& root = "");

// Cores that the affinity mask allows; a core with two hardware threads counts once.
int AllowedCores();

// CPU time that the control groups grant, in cores (cgroup v1 and v2); 0 when there is no limit.
double CpuQuota(const std::string& root = "");

// AllowedCores, held down to the quota rounded down, at least 1: what computing should use.
int DefaultThreads();

struct MemoryInfo {
  uint64_t total_bytes = 0;      // of the machine, or the control group's limit when that is less
  uint64_t available_bytes = 0;  // can still be used without swapping, within that limit
};

MemoryInfo GetMemoryInfo(const std::string& root = "");

// Of the last cache that the first core reaches; 0 when the system does not say.
uint64_t LastCacheBytes(const std::string& root = "");

// Of this process, from the kernel's count: now, and at most so far.
uint64_t ResidentBytes();
uint64_t PeakResidentBytes();
// What was freed and is kept for the next allocation goes back to the kernel.
void ReturnFreeMemory();

// The path of the running program, and how it was called: a name that a shell finds, or a path.
std::string ExecutablePath();
std::string ProgramAsCalled();

}  // namespace slm
