#include "plan/local_cards.h"

#include <cmath>

#include "base/nearest_names.h"
#include "plan/device.h"

namespace slm::plan {
namespace {

// "GeForce RTX 4060 Ti 16 GB" is "NVIDIA GeForce RTX 4060 Ti" to its driver.
std::string WithoutMemory(const std::string& name) {
  const size_t unit = name.rfind(" GB");
  if (unit == std::string::npos || unit + 3 != name.size()) return name;
  return name.substr(0, name.find_last_of(' ', unit - 1));
}

}  // namespace

std::string DeviceOf(const GpuInfo& gpu) {
  const std::string wanted = UpperCase(gpu.name);
  std::string best;
  double least = 0.1;  // off in memory, of which drivers keep some
  for (const Device& device : AllDevices()) {
    if (device.kind != "gpu" || device.cards > 1 || !device.memory) continue;
    if (!wanted.ends_with(UpperCase(" " + WithoutMemory(device.name)))) continue;
    const double off = std::abs(1 - static_cast<double>(gpu.memory_bytes) / device.memory.value);
    if (off >= least) continue;
    best = device.id;
    least = off;
  }
  return best;
}

std::vector<LocalCard> LocalCards() {
  std::vector<LocalCard> cards;
  for (const GpuInfo& gpu : ListGpus()) cards.push_back({gpu, DeviceOf(gpu)});
  return cards;
}

}  // namespace slm::plan
