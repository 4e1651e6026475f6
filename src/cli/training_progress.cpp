#include "cli/training_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/cpu.h"
#include "base/progress.h"
#include "cli/interrupt.h"

namespace slm::cli {

std::string Describe(const Needs& needs) {
  return fmt::format("{} of memory and {} of time", FormatBytes(needs.bytes),
                     FormatDuration(needs.seconds));
}

Needs Plan(size_t samples, train::TrainingRun* run) {
  const uint64_t ahead = run->BytesAhead(), free = GetMemoryInfo().available_bytes;
  Needs plan;
  plan.bytes = std::max(PeakResidentBytes(), ResidentBytes() + ahead);
  std::fprintf(stderr,
               "slm: %zu sample%s, %lld step%s, %lld an epoch, %s of memory; timing some tokens\n",
               samples, samples == 1 ? "" : "s", static_cast<long long>(run->steps()),
               run->steps() == 1 ? "" : "s", static_cast<long long>(run->steps_per_epoch()),
               FormatBytes(plan.bytes).c_str());
  if (ahead > free)
    std::fprintf(stderr, "slm: only %s of memory are free, and %s more will be needed\n",
                 FormatBytes(free).c_str(), FormatBytes(ahead).c_str());
  plan.pace = run->Measure();
  plan.seconds = run->SecondsLeft(plan.pace);
  std::fprintf(stderr, "slm: planned: %s\n", Describe(plan).c_str());
  return plan;
}

Reporter::Reporter(const train::TrainingRun* run, const train::Pace& pace, train::TrainingLog* log)
    : run_(run), planned_(pace), log_(log), is_terminal_(isatty(STDERR_FILENO) != 0) {}

train::RunHooks Reporter::Hooks() {
  return {[this](const train::StepReport& report) { OnStep(report); },
          [this](const train::EvaluationReport& report) { OnEvaluation(report); },
          [] { return InterruptGuard::IsInterrupted(); }};
}

void Reporter::OnStep(const train::StepReport& report) {
  log_->Write(report);
  step_.Add(report.seconds);
  const double left = run_->SecondsLeft(
      {step_.Or(planned_.step), evaluation_.Or(planned_.evaluation), planned_.save});
  std::fprintf(stderr, "%sstep %lld/%lld  epoch %.2f  loss %.4f  %.0f tok/s  %s left%s",
               is_terminal_ ? "\r" : "", static_cast<long long>(report.step),
               static_cast<long long>(run_->steps()), report.epoch, report.result.loss,
               static_cast<double>(report.result.rows) / report.seconds,
               FormatDuration(left).c_str(), is_terminal_ ? "\x1b[K" : "\n");
  is_open_ = is_terminal_;
}

void Reporter::OnEvaluation(const train::EvaluationReport& report) {
  log_->Write(report);
  evaluation_.Add(report.seconds);
  Finish();
  std::fprintf(stderr, "step %lld: eval loss %.4f%s\n", static_cast<long long>(report.step),
               report.loss, report.is_best ? ", the best so far" : "");
}

void Reporter::Finish() {
  if (is_open_) std::fputc('\n', stderr);
  is_open_ = false;
}

}  // namespace slm::cli
