#include "eval/speed.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/random.h"
#include "eval/token_work.h"

namespace slm::eval {
namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The probes around a repetition may differ by so much.
constexpr double kMostDrift = 1.1;

// The repetitions of one test.
class Repetitions {
 public:
  // Tokens per second, the peak before and after, and what the peak would give.
  void Add(double rate, double before, double after, double at_peak) {
    rates_.push_back(rate);
    shares_.push_back(rate / at_peak);
    probes_.insert(probes_.end(), {before, after});
  }
  Speed Summarize(bool has_share) const {
    if (rates_.empty()) return {};
    Speed speed;
    speed.tokens_per_second = Median(rates_);
    speed.best = *std::max_element(rates_.begin(), rates_.end());
    speed.worst = *std::min_element(rates_.begin(), rates_.end());
    if (has_share) speed.share_of_peak = Median(shares_);
    speed.probes = probes_;
    return speed;
  }

 private:
  std::vector<double> rates_, shares_, probes_;
};

}  // namespace

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
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
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < longest; ++i)
    ids.push_back(static_cast<int32_t>(RandomBits(1, static_cast<uint64_t>(i)) %
                                       static_cast<uint64_t>(model->hparams().vocab)));
  engine::Session session(model, session_options);
  const auto first = [&](int64_t n) {
    return std::span<const int32_t>(ids).first(static_cast<size_t>(n));
  };
  const auto prefill = [&] {
    if (options.depth > 0)
      executor->Extend(&session, first(options.depth));  // kept from one repetition to the next
    else
      session.KeepPrefix({}, 0);
    const auto start = Clock::now();
    executor->Extend(&session, first(options.depth + options.prompt));
    return static_cast<double>(options.prompt) / Since(start);
  };
  const auto decode = [&] {
    session.KeepPrefix(first(options.depth), options.depth);
    executor->Extend(&session, first(options.depth + 1));
    const auto start = Clock::now();
    for (int64_t i = 0; i < options.predict; ++i)
      executor->Extend(&session, first(options.depth + 2 + i));
    return static_cast<double>(options.predict) / Since(start);
  };
  if (options.prompt > 0) prefill();
  if (options.predict > 0) decode();

  const TokenWork work = WorkOf(*model);
  const double kv_bytes = static_cast<double>(
      engine::KvCache::BytesRead(model->hparams(), session_options.k_type, session_options.v_type,
                                 options.depth + 1 + options.predict / 2));
  SpeedReport report;
  Repetitions prefills, decodes;
  std::vector<double> int8, read;  // all probes
  MachineProbe probe(model->runtime());
  MachinePeak before = probe.Measure();
  for (int repeat = 0; repeat < options.repeats;) {
    const double prefilled = options.prompt > 0 ? prefill() : 0;
    const double decoded = options.predict > 0 ? decode() : 0;
    const MachinePeak after = probe.Measure();
    const auto differ = [](double a, double b) {
      return std::max(a, b) > kMostDrift * std::min(a, b);
    };
    const bool has_drifted =
        (options.prompt > 0 && differ(before.int8_macs_per_second, after.int8_macs_per_second)) ||
        (options.predict > 0 && differ(before.read_bytes_per_second, after.read_bytes_per_second));
    const double macs = (before.int8_macs_per_second + after.int8_macs_per_second) / 2;
    const double bytes = (before.read_bytes_per_second + after.read_bytes_per_second) / 2;
    int8.insert(int8.end(), {before.int8_macs_per_second, after.int8_macs_per_second});
    read.insert(read.end(), {before.read_bytes_per_second, after.read_bytes_per_second});
    if (has_drifted && report.discarded < options.repeats) {
      ++report.discarded;
    } else {
      if (options.prompt > 0)
        prefills.Add(prefilled, before.int8_macs_per_second, after.int8_macs_per_second,
                     macs / work.macs);
      if (options.predict > 0)
        decodes.Add(decoded, before.read_bytes_per_second, after.read_bytes_per_second,
                    bytes / (work.bytes + kv_bytes));
      ++repeat;
    }
    before = after;
    if (progress) progress->Update(static_cast<uint64_t>(repeat + 1));
  }
  if (progress) progress->Finish();
  const auto cache = static_cast<double>(LastCacheBytes());  // 0: the system does not say
  const bool has_share = cache > 0 && work.bytes > 2 * cache;
  report.peak = {Median(int8), Median(read)};
  report.prefill = prefills.Summarize(has_share);
  report.prefill.work_per_token = work.macs;
  report.decode = decodes.Summarize(has_share);
  report.decode.work_per_token = work.bytes + kv_bytes;
  return report;
}

}  // namespace slm::eval
