// What slm merge measured, for people and for scripts.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "eval/merge_choice.h"
#include "eval/speed.h"

namespace slm::cli {

struct MergeRow {
  std::string name;     // "merged, Q4_K_M"
  std::string form;     // "alone", "beside" or "merged"
  std::string weights;  // the file that the weights are from
  std::string type;     // what they were quantized to; empty: as they are
  bool has_imatrix = false;
  uint64_t bytes = 0, adapter_bytes = 0;
  eval::MeanScore score;
  eval::Verdict verdict;                   // not of "alone"
  std::optional<eval::SpeedReport> speed;  // nor is its speed measured
  bool is_picked = false;
};

nlohmann::ordered_json ToJson(const MergeRow& row);

// One line each. The first is the base alone.
void PrintTable(std::span<const MergeRow> rows);

}  // namespace slm::cli
