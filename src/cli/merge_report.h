// What slm merge measured, for people and for scripts.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "eval/merge_choice.h"

namespace slm::cli {

struct MergeRow {
  std::string name;     // "merged, Q4_K_M"
  std::string form;     // "alone", "beside" or "merged"
  std::string weights;  // the file that the weights are from
  std::string type;     // what they were quantized to; empty: as they are
  bool has_imatrix = false;
  uint64_t bytes = 0, adapter_bytes = 0;
  eval::MeanScore score;
  eval::Verdict verdict;                // not of "alone"
  std::vector<double> prefill, decode;  // tokens per second, turn by turn; nothing: not measured
  bool is_picked = false;
};

nlohmann::ordered_json ToJson(const MergeRow& row);

// One line each. The first is the base alone.
void PrintTable(std::span<const MergeRow> rows);

}  // namespace slm::cli
