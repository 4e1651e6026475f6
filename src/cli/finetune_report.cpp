#include "cli/finetune_report.h"

#include <filesystem>

#include "base/error.h"
#include "base/progress.h"
#include "base/result_file.h"

namespace slm::cli {

train::Facts FactsOf(const FinetuneFlags& flags, const TrainingSubject& subject,
                     const TrainingData& data, const train::TrainingRun& run) {
  const format::GgufFile& file = subject.model->file();
  train::Facts facts = {
      {"base", fmt::format("{}, {}", file.path(), FormatBytes(file.file_bytes()))}};
  facts.insert(facts.end(), subject.facts.begin(), subject.facts.end());
  facts.insert(facts.end(), data.facts.begin(), data.facts.end());
  facts.insert(facts.end(),
               {{"steps", fmt::format("{} of {}, {} samples each", run.done(), run.steps(),
                                      flags.run.batch)},
                {"learning rate", fmt::format("{:g}, {}, warm-up {:g}", flags.run.learning_rate,
                                              flags.schedule, flags.run.warmup)},
                {"AdamW", fmt::format("weight decay {:g}, gradients cut to {:g}",
                                      flags.adamw.weight_decay, flags.clip)},
                {"dropout", fmt::format("{:g}", flags.dropout)},
                {"seed", std::to_string(flags.run.seed)}});
  return facts;
}

void WriteFinetuneReport(const FinetuneFlags& flags, train::Facts facts, const TrainingData& data,
                         const Speaker& before, const Speaker& after) {
  train::TrainingReport report;
  report.title = std::filesystem::path(flags.output).lexically_normal().string();
  report.trained = flags.is_full ? "all weights trained" : "with the adapter";
  report.facts = std::move(facts);
  // Token data may be of a model without a vocabulary.
  if (flags.token_data.empty()) {
    report.answers_from = data.eval.empty()
                              ? "To samples that it was trained on: there was nothing else."
                              : "To samples of the evaluation data, greedily.";
    report.answers = AnswerSamples(before, after, data.eval.empty() ? data.train : data.eval, 5);
  }
  const std::string html = train::RenderReport(report, train::ReadTrainingLog(flags.log));
  ResultFile file(flags.report);
  file.Write(html.data(), html.size());
  file.Finish();
}

}  // namespace slm::cli
