#include "cli/compare_report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/progress.h"

namespace slm::cli {
namespace {

using eval::Divergence;
using eval::Estimate;
using nlohmann::ordered_json;

// Of values in ascending order.
struct Quantile {
  const char* key;    // JSON
  const char* label;  // as llama.cpp prints it
  double fraction;
};
constexpr Quantile kQuantiles[] = {
    {"max", "Maximum", 1},      {"p99_9", "99.9%  ", 0.999}, {"p99", "99.0%  ", 0.99},
    {"p95", "95.0%  ", 0.95},   {"p90", "90.0%  ", 0.9},     {"p75", "75.0%  ", 0.75},
    {"median", "Median ", 0.5}, {"p25", "25.0%  ", 0.25},    {"p10", "10.0%  ", 0.1},
    {"p5", " 5.0%  ", 0.05},    {"p1", " 1.0%  ", 0.01},     {"p0_1", " 0.1%  ", 0.001},
    {"min", "Minimum", 0},
};

void Add(const std::string& key, const Estimate& estimate, ordered_json* json) {
  (*json)[key] = estimate.value;
  (*json)[key + "_stderr"] = estimate.error;
}

ordered_json QuantilesOf(std::span<const double> ascending) {
  ordered_json json;
  for (const Quantile& q : kQuantiles) json[q.key] = eval::Percentile(ascending, q.fraction);
  return json;
}

void Print(const char* label, const Estimate& e) {
  std::printf("%-30s: %10.6f ± %10.6f\n", label, e.value, e.error);
}

}  // namespace

ordered_json ToJson(const Compared& compared) {
  ordered_json json = {{"file", compared.file},
                       {"bytes", compared.bytes},
                       {"bits_per_weight", compared.bits_per_weight}};
  const Divergence& d = *compared.divergence;
  json["tokens"] = d.tokens;
  Add("mean_kld", d.kld, &json);
  Add("ppl", d.ppl, &json);
  Add("base_ppl", d.base_ppl, &json);
  Add("ppl_ratio", d.ppl_ratio, &json);
  Add("ln_ppl_ratio", d.ln_ppl_ratio, &json);
  Add("ppl_difference", d.ppl_difference, &json);
  json["ln_ppl_correlation"] = d.ln_ppl_correlation;
  Add("same_top", d.same_top, &json);
  json["kld"] = QuantilesOf(d.klds);
  Add("mean_delta_p", d.delta_p, &json);
  Add("rms_delta_p", d.rms_delta_p, &json);
  json["delta_p"] = QuantilesOf(d.delta_ps);
  if (compared.speed) {
    json["prefill_tokens_per_second"] = compared.speed->prefill.tokens_per_second;
    json["decode_tokens_per_second"] = compared.speed->decode.tokens_per_second;
  }
  return json;
}

void PrintDivergence(const Compared& compared) {
  const Divergence& d = *compared.divergence;
  std::printf("%s, over %lld tokens\n\n", compared.file.c_str(), static_cast<long long>(d.tokens));
  std::printf("====== Perplexity statistics ======\n");
  Print("Mean PPL(Q)", d.ppl);
  Print("Mean PPL(base)", d.base_ppl);
  std::printf("%-30s: %6.2f%%\n", "Cor(ln(PPL(Q)), ln(PPL(base)))", 100 * d.ln_ppl_correlation);
  Print("Mean ln(PPL(Q)/PPL(base))", d.ln_ppl_ratio);
  Print("Mean PPL(Q)/PPL(base)", d.ppl_ratio);
  Print("Mean PPL(Q)-PPL(base)", d.ppl_difference);
  std::printf("\n====== KL divergence statistics ======\n");
  std::printf("Mean    KLD: %10.6f ± %10.6f\n", d.kld.value, d.kld.error);
  for (const Quantile& q : kQuantiles)
    std::printf("%s KLD: %10.6f\n", q.label, eval::Percentile(d.klds, q.fraction));
  std::printf("\n====== Token probability statistics ======\n");
  std::printf("Mean    Δp: %6.3f ± %5.3f %%\n", 100 * d.delta_p.value, 100 * d.delta_p.error);
  for (const Quantile& q : kQuantiles)
    std::printf("%s Δp: %6.3f%%\n", q.label, 100 * eval::Percentile(d.delta_ps, q.fraction));
  std::printf("RMS Δp    : %6.3f ± %5.3f %%\n", 100 * d.rms_delta_p.value,
              100 * d.rms_delta_p.error);
  std::printf("Same top p: %6.3f ± %5.3f %%\n\n", 100 * d.same_top.value, 100 * d.same_top.error);
}

void PrintTable(const std::optional<Compared>& base, std::span<const Compared> files) {
  size_t width = 4;
  std::vector<const Compared*> rows;
  if (base) rows.push_back(&*base);
  for (const Compared& file : files) rows.push_back(&file);
  for (const Compared* row : rows) width = std::max(width, row->file.size());
  std::printf("%-*s %9s %5s %10s %10s %10s %8s %8s %9s %9s\n", static_cast<int>(width), "file",
              "size", "bits", "PPL", "mean KLD", "99.9% KLD", "same top", "RMS Δp", "pre tok/s",
              "dec tok/s");
  for (const Compared* row : rows) {
    std::printf("%-*s %9s %5.2f", static_cast<int>(width), row->file.c_str(),
                FormatBytes(row->bytes).c_str(), row->bits_per_weight);
    if (row->divergence) {
      const Divergence& d = *row->divergence;
      std::printf(" %10.4f %10.6f %10.6f %7.2f%% %6.2f%%", d.ppl.value, d.kld.value,
                  eval::Percentile(d.klds, 0.999), 100 * d.same_top.value,
                  100 * d.rms_delta_p.value);
    } else if (!files.empty()) {
      std::printf(" %10.4f %10s %10s %8s %7s", files[0].divergence->base_ppl.value, "base", "", "",
                  "");
    }
    if (row->speed)
      std::printf(" %9.1f %9.1f", row->speed->prefill.tokens_per_second,
                  row->speed->decode.tokens_per_second);
    std::printf("\n");
  }
}

}  // namespace slm::cli
