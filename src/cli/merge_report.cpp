#include "cli/merge_report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "eval/speed.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

constexpr double kZ = 1.96;  // of 95 %

std::string SizeOf(const MergeRow& row) {
  std::string text = FormatBytes(row.bytes);
  if (row.adapter_bytes > 0) text += " + " + FormatBytes(row.adapter_bytes);
  return text;
}

}  // namespace

ordered_json ToJson(const MergeRow& row) {
  const eval::MeanScore& score = row.score;
  ordered_json json = {{"form", row.form},
                       {"weights", row.weights},
                       {"type", row.type.empty() ? ordered_json() : ordered_json(row.type)},
                       {"has_imatrix", row.has_imatrix},
                       {"bytes", row.bytes},
                       {"adapter_bytes", row.adapter_bytes},
                       {"loss", score.loss},
                       {"mean_kld", score.kld},
                       {"same_top", score.same_top},
                       {"right", score.right.share()}};
  if (row.form == "alone") return json;
  if (const auto& kept = row.verdict.kept) {
    json["kept"] = kept->value;
    json["kept_stderr"] = kept->error;
  }
  json["has_regret"] = row.verdict.has_regret;
  if (!row.decode.empty()) {
    json["prefill_tokens_per_second"] = eval::Median(row.prefill);
    json["decode_tokens_per_second"] = eval::Median(row.decode);
  }
  json["is_picked"] = row.is_picked;
  return json;
}

void PrintTable(std::span<const MergeRow> rows) {
  size_t width = 0, size_width = 4;
  for (const MergeRow& row : rows) {
    width = std::max(width, row.name.size());
    size_width = std::max(size_width, SizeOf(row).size());
  }
  std::printf("%-*s  %*s %8s %15s %9s %9s %7s", static_cast<int>(width), "",
              static_cast<int>(size_width), "size", "loss", "kept", "mean KLD", "same top",
              "right");
  const bool has_speed = !rows.back().decode.empty();
  if (has_speed) std::printf(" %9s %9s", "pre tok/s", "dec tok/s");
  std::printf("\n");
  for (const MergeRow& row : rows) {
    const eval::MeanScore& score = row.score;
    std::string kept;
    if (row.verdict.kept)
      kept = fmt::format("{:.1f} ± {:.1f} %", 100 * row.verdict.kept->value,
                         100 * kZ * row.verdict.kept->error);
    // The sign has two bytes.
    std::printf("%-*s  %*s %8.4f %*s %9.5f %7.1f %% %5.1f %%", static_cast<int>(width),
                row.name.c_str(), static_cast<int>(size_width), SizeOf(row).c_str(), score.loss,
                kept.empty() ? 15 : 16, kept.c_str(), score.kld, 100 * score.same_top,
                100 * score.right.share());
    if (!row.decode.empty())
      std::printf(" %9.1f %9.1f", eval::Median(row.prefill), eval::Median(row.decode));
    else if (has_speed)
      std::printf(" %9s %9s", "", "");
    if (row.is_picked)
      std::printf("  picked");
    else if (row.verdict.has_regret)
      std::printf("  regret");
    std::printf("\n");
  }
}

}  // namespace slm::cli
