#include "eval/machine_probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

#include "base/cpu.h"
#include "base/thread_pool.h"
#include "engine/model.h"
#include "kernels/table.h"

namespace slm::eval {
namespace {

constexpr size_t kPart = size_t{1} << 20;  // that a thread reads at a time
constexpr size_t kFewParts = 16, kUsualParts = 128, kManyParts = 1024;

// Four times what the caches keep: reading it in order finds nothing in them.
size_t BufferBytes() {
  const size_t wanted = std::clamp<size_t>(4 * LastCacheBytes() / kPart, kUsualParts, kManyParts);
  const size_t allowed = GetMemoryInfo().available_bytes / 8 / kPart;
  return std::max(kFewParts, std::min(wanted, allowed)) * kPart;
}

template <class Work>
double Seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

MachineProbe::MachineProbe(engine::Runtime* runtime) : runtime_(runtime), buffer_(BufferBytes()) {
  std::fill_n(buffer_.data(), buffer_.size(), uint8_t{1});
}

bool MachineProbe::is_past_the_caches() const { return buffer_.size() >= 2 * LastCacheBytes(); }

MachinePeak MachineProbe::Measure() {
  const kernels::KernelTable& kernels = runtime_->kernels();
  ThreadPool* pool = runtime_->pool();
  MachinePeak peak;
  for (int round = 0; round < 3; ++round) {
    // More chunks than threads: whoever is free takes one, the probe is of the threads together.
    constexpr int64_t kRounds = 1'000'000;
    runtime_->PrepareFor(std::numeric_limits<int64_t>::max());
    std::atomic<int64_t> macs{0};
    const double computing = Seconds([&] {
      pool->ParallelFor(4 * runtime_->batch_threads(),
                        [&](int64_t, int) { macs += kernels.probe_int8(kRounds); });
    });
    runtime_->PrepareFor(1);
    std::atomic<uint64_t> sum{0};
    const double reading = Seconds([&] {
      pool->ParallelFor(static_cast<int64_t>(buffer_.size() / kPart), [&](int64_t part, int) {
        sum += kernels.probe_read(buffer_.data() + static_cast<size_t>(part) * kPart, kPart);
      });
    });
    peak.int8_macs_per_second =
        std::max(peak.int8_macs_per_second, static_cast<double>(macs) / computing);
    peak.read_bytes_per_second =
        std::max(peak.read_bytes_per_second, static_cast<double>(buffer_.size()) / reading);
  }
  return peak;
}

}  // namespace slm::eval
