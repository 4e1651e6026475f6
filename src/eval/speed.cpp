#include "eval/speed.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/random.h"

namespace slm::eval {
namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Work {
  double macs = 0;   // of one token through all layers
  double bytes = 0;  // of weights that one decoded token reads
};

Work WorkOf(const engine::Model& model) {
  Work work;
  const auto add = [&](const ops::Matrix& m, bool is_prefilled) {
    const auto [rows, k] = std::pair(static_cast<double>(m.rows()), static_cast<double>(m.k()));
    if (is_prefilled) work.macs += rows * k;
    work.bytes += static_cast<double>(m.bytes());
  };
  for (const model::LayerWeights& w : model.weights().layers)
    for (const ops::Matrix* m : {&w.q, &w.k, &w.v, &w.output, &w.gate, &w.up, &w.down})
      add(*m, true);
  add(model.weights().output, false);
  return work;
}

Speed Summarize(std::vector<double> rates, double peak_rate) {
  if (rates.empty()) return {};
  std::sort(rates.begin(), rates.end());
  Speed speed;
  speed.tokens_per_second = rates[rates.size() / 2];
  speed.best = rates.back();
  speed.worst = rates.front();
  speed.share_of_peak = peak_rate > 0 ? speed.tokens_per_second / peak_rate : 0;
  return speed;
}

}  // namespace

MachinePeak ProbeMachine(engine::Runtime* runtime) {
  const int threads = runtime->pool()->threads();
  const kernels::KernelTable& kernels = runtime->kernels();
  MachinePeak peak;
  // One chunk a thread, but whoever is free takes it: the probe is of the threads together.
  constexpr int64_t kRounds = 2'000'000;
  constexpr size_t kPart = size_t{1} << 20;
  const int64_t parts = 128;
  const AlignedBuffer buffer(kPart * static_cast<size_t>(parts));
  std::fill_n(buffer.data(), buffer.size(), uint8_t{1});
  for (int round = 0; round < 3; ++round) {
    auto start = Clock::now();
    std::atomic<int64_t> macs{0};
    runtime->pool()->ParallelFor(threads * 4,
                                 [&](int64_t, int) { macs += kernels.probe_int8(kRounds); });
    peak.int8_macs_per_second =
        std::max(peak.int8_macs_per_second, static_cast<double>(macs) / Since(start));
    start = Clock::now();
    std::atomic<uint64_t> sum{0};
    runtime->pool()->ParallelFor(parts, [&](int64_t part, int) {
      sum += kernels.probe_read(buffer.data() + static_cast<size_t>(part) * kPart, kPart);
    });
    peak.read_bytes_per_second =
        std::max(peak.read_bytes_per_second, static_cast<double>(buffer.size()) / Since(start));
  }
  return peak;
}

SpeedReport MeasureSpeed(const std::shared_ptr<const engine::Model>& model,
                         engine::Executor* executor, const SpeedOptions& options,
                         Progress* progress) {
  const int64_t longest = options.depth + std::max(options.prompt, options.predict + 2);
  engine::SessionOptions session_options = options.session;
  if (session_options.context == 0) session_options.context = longest;
  if (session_options.context < longest)
    throw Error(Code::kUsage, "the test needs a context of {} tokens, {} were given", longest,
                session_options.context);
  // The first repetition is for warming up.
  if (progress)
    progress->Start("bench", ProgressUnit::kCount, 0, static_cast<uint64_t>(options.repeats) + 1);
  SpeedReport report;
  report.before = ProbeMachine(model->runtime());
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < longest; ++i)
    ids.push_back(static_cast<int32_t>(RandomBits(1, static_cast<uint64_t>(i)) %
                                       static_cast<uint64_t>(model->hparams().vocab)));
  engine::Session session(model, session_options);
  const auto first = [&](int64_t n) {
    return std::span<const int32_t>(ids).first(static_cast<size_t>(n));
  };
  std::vector<double> prefill, decode;
  for (int repeat = -1; repeat < options.repeats; ++repeat) {
    if (options.prompt > 0) {
      session.KeepPrefix({}, 0);
      if (options.depth > 0) executor->Extend(&session, first(options.depth));
      const auto start = Clock::now();
      executor->Extend(&session, first(options.depth + options.prompt));
      if (repeat >= 0) prefill.push_back(static_cast<double>(options.prompt) / Since(start));
    }
    if (options.predict > 0) {
      session.KeepPrefix(first(options.depth), options.depth);
      executor->Extend(&session, first(options.depth + 1));
      const auto start = Clock::now();
      for (int64_t i = 0; i < options.predict; ++i)
        executor->Extend(&session, first(options.depth + 2 + i));
      if (repeat >= 0) decode.push_back(static_cast<double>(options.predict) / Since(start));
    }
    if (progress) progress->Update(static_cast<uint64_t>(repeat + 2));
  }
  if (progress) progress->Finish();
  report.after = ProbeMachine(model->runtime());
  const Work work = WorkOf(*model);
  const double int8 =
      std::max(report.before.int8_macs_per_second, report.after.int8_macs_per_second);
  const double read =
      std::max(report.before.read_bytes_per_second, report.after.read_bytes_per_second);
  report.prefill = Summarize(prefill, int8 / work.macs);
  report.decode = Summarize(decode, read / work.bytes);
  return report;
}

}  // namespace slm::eval
