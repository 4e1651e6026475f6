#include "kernel_cases/peaks.h"

#include <algorithm>
#include <ctime>

#include "base/cpu.h"

namespace slm::bench {
namespace {

constexpr size_t kCacheBytes = size_t{16} << 10;  // within every first cache
constexpr double kLongEnough = 1e-3;              // seconds

// The best rate of a few tries of `work`, which returns its amount.
template <class Work>
double BestRate(const Work& work) {
  double best = 0;
  for (int i = 0; i < 4; ++i) {
    const double start = CpuSeconds();
    const auto amount = static_cast<double>(work());
    best = std::max(best, amount / (CpuSeconds() - start));
  }
  return best;
}

// As many rounds as take long enough.
template <class Probe>
double BestRateOfRounds(const Probe& probe) {
  for (int64_t rounds = 1000;; rounds *= 4) {
    const double start = CpuSeconds();
    probe(rounds);
    if (CpuSeconds() - start > kLongEnough) return BestRate([&] { return probe(rounds); });
  }
}

}  // namespace

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

size_t MemorySize() { return 4 * std::max<size_t>(LastCacheBytes(), size_t{16} << 20); }

Prober::Prober(const kernels::KernelTable& table)
    : table_(table),
      probe_f32_(FindF32Probe(table)),
      probe_bf16_(FindBf16Probe(table)),
      memory_(MemorySize()) {
  std::fill_n(memory_.data(), memory_.size(), uint8_t{1});
}

Amounts Prober::Probe(const Amounts& work) const {
  volatile uint64_t keep = 0;
  const auto read = [&](size_t bytes) {
    keep = keep + table_.probe_read(memory_.data(), bytes);
    return bytes;
  };
  Amounts peak = {};
  if (work[kInt8] > 0) peak[kInt8] = BestRateOfRounds(table_.probe_int8);
  if (work[kBf16] > 0) peak[kBf16] = BestRateOfRounds(probe_bf16_);
  if (work[kF32] > 0) peak[kF32] = BestRateOfRounds(probe_f32_);
  if (work[kMemory] > 0) peak[kMemory] = BestRate([&] { return read(memory_.size()); });
  if (work[kCache] > 0)
    peak[kCache] = BestRateOfRounds([&](int64_t rounds) {
      for (int64_t i = 0; i < rounds; ++i) read(kCacheBytes);
      return static_cast<double>(rounds) * kCacheBytes;
    });
  return peak;
}

}  // namespace slm::bench
