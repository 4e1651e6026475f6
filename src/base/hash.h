// A fast 64-bit hash, the same on every machine: against accidents, not against attackers.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace slm {

inline uint64_t Hash64(std::span<const uint8_t> bytes, uint64_t seed = 0) {
  const auto mix = [](uint64_t h) {
    h *= 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
  };
  uint64_t hash = mix(seed ^ bytes.size());
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    hash = mix(hash ^ word);
  }
  uint64_t word = 0;
  if (!bytes.empty()) std::memcpy(&word, bytes.data(), bytes.size());
  return mix(mix(hash ^ word));
}

}  // namespace slm
