// The kernels of one table (SLM_ISA) on one thread, beside what the CPU does at best: where of_peak
// is low there is room. Flags are google-benchmark's; docs/internals.md says how to read it.
//   kernel_bench --benchmark_filter=matmul/Q4_K
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernel_cases/cases.h"
#include "kernel_cases/peaks.h"

namespace slm::bench {
namespace {

constexpr const char* kNames[kResources] = {"int8", "bf16", "f32", "memory", "cache"};
constexpr double kMostDrift = 1.1;  // that probes before and after may differ by

bool IsRight(const Case& c) {
  return c.got.size() <= c.expected.size() &&
         std::equal(c.got.begin(), c.got.end(), c.expected.begin());
}

class Bench {
 public:
  explicit Bench(const kernels::KernelTable& table) : table_(table), prober_(table) {
    benchmark::AddCustomContext("kernels", std::string(table.isa));
    const Amounts peak = prober_.Probe({1, 1, 1, 1, 1});
    for (int r = 0; r < kResources; ++r)
      benchmark::AddCustomContext(std::string("peak of ") + kNames[r],
                                  fmt::format("{:.1f} G/s", peak[r] / 1e9));
    for (const auto& cases : {MatMulCases(), RowCases(), AttentionCases()})
      std::copy(cases.begin(), cases.end(), std::back_inserter(cases_));
    for (const NamedCase& named : cases_)
      benchmark::RegisterBenchmark(
          named.name.c_str(), [this, &named](benchmark::State& state) { Measure(named, &state); });
  }

  bool has_failed() const { return has_failed_; }

 private:
  void Measure(const NamedCase& named, benchmark::State* state) {
    if (named_ != &named) {
      case_ = {};  // gives its memory back first
      case_ = named.make(table_);
      named_ = &named;
      before_ = prober_.Probe(case_.work);
    }
    if (!IsRight(case_)) {
      has_failed_ = true;
      state->SkipWithError("differs from scalar");
      return;
    }
    const double start = CpuSeconds();
    for ([[maybe_unused]] auto _ : *state) case_.run();
    const double runs = static_cast<double>(state->iterations()) / (CpuSeconds() - start);
    const Amounts after = prober_.Probe(case_.work);
    double share = 0;
    std::string label;
    bool has_drifted = false;
    for (int r = 0; r < kResources; ++r) {
      if (case_.work[r] == 0) continue;
      const double peak = (before_[r] + after[r]) / 2;
      if (case_.work[r] * runs / peak > share) {
        share = case_.work[r] * runs / peak;
        label = kNames[r];
      }
      has_drifted |= std::max(before_[r], after[r]) > kMostDrift * std::min(before_[r], after[r]);
    }
    before_ = after;
    state->SetLabel(label + (has_drifted ? " drifted" : ""));
    state->counters["MAC/s"] = (case_.work[kInt8] + case_.work[kBf16] + case_.work[kF32]) * runs;
    state->counters["bytes/s"] = (case_.work[kMemory] + case_.work[kCache]) * runs;
    state->counters["of_peak"] = share;
  }

  const kernels::KernelTable& table_;
  Prober prober_;
  std::vector<NamedCase> cases_;
  const NamedCase* named_ = nullptr;  // what case_ is
  Case case_;
  Amounts before_ = {};  // the last probe
  bool has_failed_ = false;
};

}  // namespace
}  // namespace slm::bench

int main(int argc, char** argv) {
  // Enough for a case; flags that are given come later and count.
  std::string time = "--benchmark_min_time=0.1", tabular = "--benchmark_counters_tabular=true";
  std::vector<char*> args = {argv[0], time.data(), tabular.data()};
  args.insert(args.end(), argv + 1, argv + argc);
  int count = static_cast<int>(args.size());
  benchmark::Initialize(&count, args.data());
  if (benchmark::ReportUnrecognizedArguments(count, args.data())) return 2;
  try {
    const slm::kernels::KernelTable& table = slm::kernels::Kernels();
    if (table.isa == "ref")
      throw slm::Error(slm::Code::kUsage, "ref is what the others are measured by, not measured");
    slm::bench::Bench bench(table);
    benchmark::RunSpecifiedBenchmarks();
    return bench.has_failed() ? 1 : 0;
  } catch (const slm::Error& error) {
    std::fprintf(stderr, "kernel_bench: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
