#include "plan/local_cards.h"

#include <cmath>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

#include "base/nearest_names.h"
#include "plan/device.h"

namespace slm::plan {
namespace {

// "NVIDIA A100 PCIe 80 GB" is "NVIDIA A100 80GB PCIe" to its driver, or "NVIDIA A100-SXM4-80GB".
std::set<std::string> WordsOf(const std::string& name) {
  static const std::regex kOthers("NVIDIA|[0-9]+ ?GB|-");
  std::istringstream in(std::regex_replace(UpperCase(name), kOthers, " "));
  return {std::istream_iterator<std::string>(in), {}};
}

}  // namespace

std::string DeviceOf(const GpuInfo& gpu) {
  const std::set<std::string> wanted = WordsOf(gpu.name);
  std::string best;
  double least = 0.1;  // of the memory: drivers keep some
  for (const Device& device : AllDevices()) {
    if (device.kind != "gpu" || device.cards > 1 || !device.memory) continue;
    if (WordsOf(device.name) != wanted) continue;
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
