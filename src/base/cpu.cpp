#include "base/cpu.h"

#include <malloc.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace slm {
namespace {

std::optional<std::string> FirstLine(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  if (!in || !std::getline(in, line)) return std::nullopt;
  return line;
}

std::optional<uint64_t> ReadNumber(const std::string& path) {
  std::ifstream in(path);
  uint64_t value = 0;
  if (!(in >> value)) return std::nullopt;  // "max" is no number
  return value;
}

// The folders of this process's control groups for `controller` ("" = v2), innermost first.
std::vector<std::string> CgroupFolders(const std::string& root, const std::string& controller) {
  std::ifstream in(root + "/proc/self/cgroup");
  std::string line;
  std::vector<std::string> folders;
  while (std::getline(in, line)) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    bool match = controller.empty() && second == first + 1;
    for (std::string name; std::getline(names, name, ',');) match |= name == controller;
    if (!match) continue;
    const std::string top = root + "/sys/fs/cgroup" + (controller.empty() ? "" : "/" + controller);
    std::string path = line.substr(second + 1);
    for (; !path.empty() && path != "/"; path.resize(path.rfind('/')))
      folders.push_back(top + path);
    folders.push_back(top);
  }
  return folders;
}

#if defined(__x86_64__)
// A name that clang 14's __builtin_cpu_supports lacks.
bool HasF16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

}  // namespace

CpuFeatures DetectCpuFeatures() {
  CpuFeatures features;
#if defined(__x86_64__)
  __builtin_cpu_init();
  features.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("avx") && HasF16c();
  features.avx512_vnni = features.avx2 && __builtin_cpu_supports("avx512f") &&
                         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  features.avx512_bf16 = features.avx512_vnni && __builtin_cpu_supports("avx512bf16");
#elif defined(__aarch64__)
  features.neon_dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  features.neon_i8mm = features.neon_dotprod && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#endif
  return features;
}

std::string CpuName(const std::string& root) {
  std::ifstream in(root + "/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2);
  // Arm's kernels give the board's name, with a zero at its end.
  const auto board = FirstLine(root + "/proc/device-tree/model");
  return board ? board->c_str() : "unknown";
}

int AllowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const auto siblings = FirstLine(folder + "thread_siblings_list");
    cores.insert(siblings.value_or(std::to_string(cpu)));
  }
  return std::max(1, static_cast<int>(cores.size()));
}

double CpuQuota(const std::string& root) {
  double quota = 0;
  const auto tighten = [&](double cores) {
    if (cores > 0) quota = quota == 0 ? cores : std::min(quota, cores);
  };
  for (const std::string& folder : CgroupFolders(root, "")) {
    std::ifstream in(folder + "/cpu.max");
    double limit = 0, period = 0;
    if (in >> limit >> period && period > 0) tighten(limit / period);
  }
  for (const std::string& folder : CgroupFolders(root, "cpu")) {
    std::ifstream limit_file(folder + "/cpu.cfs_quota_us"),
        period_file(folder + "/cpu.cfs_period_us");
    double limit = 0, period = 0;
    if (limit_file >> limit && period_file >> period && limit > 0 && period > 0)
      tighten(limit / period);
  }
  return quota;
}

int DefaultThreads() {
  const int cores = AllowedCores();
  const double quota = CpuQuota();
  return quota > 0 ? std::clamp(static_cast<int>(quota), 1, cores) : cores;
}

MemoryInfo GetMemoryInfo(const std::string& root) {
  MemoryInfo info;
  std::ifstream in(root + "/proc/meminfo");
  std::string key, unit;
  for (uint64_t value = 0; in >> key >> value && std::getline(in, unit);) {
    if (key == "MemTotal:") info.total_bytes = value * 1024;
    if (key == "MemAvailable:") info.available_bytes = value * 1024;
  }
  // What a group uses includes cached files, which give way; a model that was just read is one.
  const auto limit_by = [&](const std::string& folder, const char* limit_file,
                            const char* used_file, const std::string& prefix) {
    const auto limit = ReadNumber(folder + limit_file);
    if (!limit) return;
    info.total_bytes = std::min(info.total_bytes, *limit);
    uint64_t used = ReadNumber(folder + used_file).value_or(0);
    std::ifstream stat(folder + "/memory.stat");
    std::string name;
    for (uint64_t value = 0; stat >> name >> value;)
      if (name == prefix + "active_file" || name == prefix + "inactive_file")
        used -= std::min(used, value);
    info.available_bytes = std::min(info.available_bytes, *limit - std::min(*limit, used));
  };
  for (const std::string& folder : CgroupFolders(root, ""))
    limit_by(folder, "/memory.max", "/memory.current", "");
  for (const std::string& folder : CgroupFolders(root, "memory"))
    limit_by(folder, "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_");
  return info;
}

uint64_t LastCacheBytes(const std::string& root) {
  uint64_t bytes = 0;
  for (int index = 0;; ++index) {
    const auto kibibytes = ReadNumber(root + "/sys/devices/system/cpu/cpu0/cache/index" +
                                      std::to_string(index) + "/size");  // such as "32768K"
    if (!kibibytes) return bytes;
    bytes = std::max(bytes, *kibibytes * 1024);
  }
}

uint64_t ResidentBytes() {
  std::ifstream in("/proc/self/statm");
  uint64_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t PeakResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

void ReturnFreeMemory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

std::string ProgramAsCalled() { return program_invocation_name; }

std::string ExecutablePath() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).string();
}

}  // namespace slm
