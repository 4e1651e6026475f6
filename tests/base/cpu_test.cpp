// Limits of control groups, read from folders that look like those of a system.
#include "base/cpu.h"

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace slm {
namespace {

using testing::TempFolder;
using testing::WriteFile;

constexpr uint64_t kGiB = uint64_t{1} << 30;

class FakeSystem {
 public:
  explicit FakeSystem(const std::string& groups) {
    Write("/proc/self/cgroup", groups);
    Write("/proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 12582912 kB\n");
  }
  void Write(const std::string& path, const std::string& text) { WriteFile(root() + path, text); }
  const std::string& root() const { return folder_.path(); }

 private:
  TempFolder folder_;
};

TEST(Cgroup, NoLimits) {
  const FakeSystem system("0::/\n");
  EXPECT_EQ(CpuQuota(system.root()), 0);
  const MemoryInfo memory = GetMemoryInfo(system.root());
  EXPECT_EQ(memory.total_bytes, 16 * kGiB);
  EXPECT_EQ(memory.available_bytes, 12 * kGiB);
}

TEST(Cgroup, V2TakesTheTightestOfTheNestedGroups) {
  FakeSystem system("0::/pod/box\n");
  const std::string top = "/sys/fs/cgroup";
  system.Write(top + "/pod/box/cpu.max", "max 100000\n");
  system.Write(top + "/pod/cpu.max", "150000 100000\n");
  system.Write(top + "/cpu.max", "400000 100000\n");
  EXPECT_EQ(CpuQuota(system.root()), 1.5);
  // The inner group is smaller, the outer one is fuller.
  system.Write(top + "/pod/box/memory.max", std::to_string(4 * kGiB));
  system.Write(top + "/pod/box/memory.current", std::to_string(1 * kGiB));
  system.Write(top + "/pod/memory.max", std::to_string(8 * kGiB));
  system.Write(top + "/pod/memory.current", std::to_string(6 * kGiB));
  const MemoryInfo memory = GetMemoryInfo(system.root());
  EXPECT_EQ(memory.total_bytes, 4 * kGiB);
  EXPECT_EQ(memory.available_bytes, 2 * kGiB);
}

TEST(Cgroup, CachedFilesGiveWay) {
  FakeSystem system("0::/box\n");
  const std::string box = "/sys/fs/cgroup/box";
  system.Write(box + "/memory.max", std::to_string(4 * kGiB));
  system.Write(box + "/memory.current", std::to_string(4 * kGiB));
  system.Write(box + "/memory.stat", "anon 1073741824\nfile 3221225472\nactive_file " +
                                         std::to_string(2 * kGiB) + "\ninactive_file " +
                                         std::to_string(1 * kGiB) + "\n");
  EXPECT_EQ(GetMemoryInfo(system.root()).available_bytes, 3 * kGiB);
}

TEST(Cgroup, V1) {
  FakeSystem system("5:cpu,cpuacct:/a\n3:memory:/a\n1:name=systemd:/x\n");
  system.Write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000\n");
  system.Write("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  system.Write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  system.Write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CpuQuota(system.root()), 0.5);
  system.Write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", std::to_string(2 * kGiB));
  system.Write("/sys/fs/cgroup/memory/a/memory.usage_in_bytes", std::to_string(1 * kGiB));
  system.Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  system.Write("/sys/fs/cgroup/memory/memory.usage_in_bytes", std::to_string(9 * kGiB));
  const MemoryInfo memory = GetMemoryInfo(system.root());
  EXPECT_EQ(memory.total_bytes, 2 * kGiB);
  EXPECT_EQ(memory.available_bytes, 1 * kGiB);
}

TEST(Cpu, NameOfTheCpuOrTheBoard) {
  FakeSystem system("0::/\n");
  EXPECT_EQ(CpuName(system.root()), "unknown");
  system.Write("/proc/cpuinfo", "processor\t: 0\nCPU part\t: 0xd0b\n");
  system.Write("/proc/device-tree/model", std::string("Raspberry Pi 5 Model B", 23));
  EXPECT_EQ(CpuName(system.root()), "Raspberry Pi 5 Model B");
  system.Write("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU\n");
  EXPECT_EQ(CpuName(system.root()), "Some CPU");
}

TEST(Cpu, ThisMachine) {
  EXPECT_GE(AllowedCores(), 1);
  EXPECT_GE(DefaultThreads(), 1);
  EXPECT_LE(DefaultThreads(), AllowedCores());
  EXPECT_GT(GetMemoryInfo().total_bytes, GetMemoryInfo().available_bytes / 2);
}

}  // namespace
}  // namespace slm
