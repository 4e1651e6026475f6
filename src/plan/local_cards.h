// Cards of this machine, as devices to plan for: slm itself computes on the CPU.
#pragma once

#include <string>
#include <vector>

#include "base/gpus.h"

namespace slm::plan {

struct LocalCard {
  GpuInfo gpu;
  std::string device;  // of the catalog, by name and memory; empty: it is none of them
};

// Throws as ListGpus does.
std::vector<LocalCard> LocalCards();

// The catalog's device that such a card is; empty: none.
std::string DeviceOf(const GpuInfo& gpu);

}  // namespace slm::plan
