// What `compare` found, for people and for scripts.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "eval/kl_divergence.h"
#include "eval/speed.h"

namespace slm::cli {

struct Compared {
  std::string file;
  uint64_t bytes = 0;
  double bits_per_weight = 0;
  std::optional<eval::Divergence> divergence;  // none: the base itself
  std::optional<eval::SpeedReport> speed;
};

nlohmann::ordered_json ToJson(const Compared& compared);

// The statistics of one file, in the words of llama.cpp's tool.
void PrintDivergence(const Compared& compared);

// All files, one a line; `base` stands first when it is a model.
void PrintTable(const std::optional<Compared>& base, std::span<const Compared> files);

}  // namespace slm::cli
