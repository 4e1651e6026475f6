// What a model would run on: a device of the catalog or of a user's file, or this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/figure.h"

namespace slm::plan {

struct Device {
  std::string id, name;
  std::string kind;           // "gpu", "mac", "phone", "board", "cpu"; "here": this machine
  std::string efficiency;     // of catalog/efficiencies.json, where the record says so
  Figure memory;              // bytes; of a Mac the least that the catalog has
  Figure usable_fraction;     // of the memory, for a model and its state; not known: all of it
  double large_fraction = 0;  // the same above 32 GiB; 0: as below
  Figure read_bandwidth;      // bytes/s, nominal but for this machine's, which is measured
  Figure int8_operations;     // a second; two for each multiply-add
  Figure half_operations;     // of float16
  Figure watts;               // under load, or the limit by specification
  Figure price;               // USD
  std::string usable_reason;
  int cards = 1;  // that share the memory; bandwidth, operations and watts are of one
  std::optional<uint64_t> free_bytes;  // now, where the system says so

  std::optional<uint64_t> usable_bytes() const;  // nothing: not known
};

// By its id, in any case: of the lines of `file`, one record each in the form of
// catalog/devices.json, then of the catalog. Throws kUsage with the nearest ids, and kBadInput with
// file and line for what is wrong in the file. Empty `file`: none.
Device FindDevice(const std::string& id, const std::string& file);

// Those of `file`, as above, then those of the catalog.
std::vector<Device> AllDevices(const std::string& file = "");

}  // namespace slm::plan
