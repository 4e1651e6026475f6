// What a model would run on: a device of the catalog or of a user's file, or this machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/figure.h"

namespace slm::plan {

struct Device {
  std::string id, name;
  std::string kind;        // "gpu", "mac", "phone", "board", "cpu"; "here": this machine
  Figure memory;           // bytes; of a Mac the least that it is sold with
  Figure usable_fraction;  // of the memory, for a model and its state
  Figure read_bandwidth;   // bytes/s, nominal but for this machine's, which is measured
  Figure int8_operations;  // a second; two for each multiply-add
  Figure half_operations;  // of float16
  Figure watts;            // under load, or the limit by specification
  Figure price;            // USD
  std::string usable_reason;
  int cards = 1;             // that share the memory; bandwidth and operations are of one
  bool is_measured = false;  // somebody published the speed of a model on it

  // 0: not known.
  uint64_t usable_bytes() const;
};

// By its id, in any case: of the lines of `file`, one record each in the form of
// catalog/devices.json, then of the catalog. Throws kUsage with the nearest ids, and kBadInput with
// file and line for what is wrong in the file. Empty `file`: none.
Device FindDevice(const std::string& id, const std::string& file);

std::vector<Device> AllDevices();

}  // namespace slm::plan
