#include "cli/training_data.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <optional>

#include "base/error.h"
#include "cli/mask_report.h"
#include "train/prepare_data.h"
#include "train/token_data.h"

namespace slm::cli {
namespace {

std::vector<train::Sample> Take(std::vector<train::TokenizedSample>* from) {
  std::vector<train::Sample> samples;
  for (train::TokenizedSample& sample : *from) {
    samples.push_back(std::move(sample.sample));
    samples.back().line = sample.line;
  }
  return samples;
}

// Whatever the time zone of the machine.
std::tm UtcOf(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm utc = {};
  gmtime_r(&time, &utc);
  return utc;
}

train::Facts FactsOf(const FinetuneFlags& flags, const train::PreparedData& data) {
  train::Facts facts;
  const auto add = [&](const char* name, const std::string& path, const train::PreparedPart& part) {
    facts.push_back({name, fmt::format("{}: {} samples, {} tokens, {} of them trained", path,
                                       part.samples.size(), part.tokens(), part.trained())});
  };
  add("training data", flags.data, data.train);
  if (!data.eval.samples.empty())
    add("evaluation data", flags.eval_data.empty() ? "a share of it" : flags.eval_data, data.eval);
  if (!data.duplicates.empty())
    facts.push_back({"near duplicates", fmt::format("{} left out", data.duplicates.size())});
  if (!data.leaks.empty())
    facts.push_back({"in both", fmt::format("{} {} evaluation", data.leaks.size(),
                                            flags.keeps_leaks ? "kept in" : "left out of")});
  return facts;
}

}  // namespace

int64_t TrainingData::longest() const {
  int64_t longest = 1;
  for (const std::vector<train::Sample>* part : {&train, &eval})
    for (const train::Sample& sample : *part) longest = std::max(longest, sample.rows());
  return longest;
}

TrainingData ReadTrainingData(const FinetuneFlags& flags, LoadedModel* loaded, bool shows) {
  if (flags.data.empty() == flags.token_data.empty())
    throw Error(Code::kUsage, "expected -d, or --token-data");
  if (!flags.token_data.empty())
    return {train::ReadTokenData(flags.token_data, loaded->model()->hparams().vocab),
            {},
            {{"training data", flags.token_data}}};
  const format::Dataset dataset = format::ReadDataset(flags.data);
  std::optional<format::Dataset> eval;
  if (!flags.eval_data.empty()) eval = format::ReadDataset(flags.eval_data);
  const bool needs_template = dataset.format != format::DataFormat::kText ||
                              (eval && eval->format != format::DataFormat::kText);
  const train::ExampleTokenizer tokenizer(
      loaded->tokenizer(), needs_template ? &loaded->chat_template() : nullptr,
      {flags.longest, [&] { return UtcOf(flags.run.started); }});
  train::PreparedData prepared = train::Prepare(
      dataset, eval ? &*eval : nullptr, tokenizer,
      {flags.eval_share, flags.run.seed, flags.removes_duplicates, flags.keeps_leaks});
  if (shows)
    std::fputs(MaskReport(prepared, dataset.format, flags.keeps_leaks, loaded->tokenizer(),
                          isatty(STDERR_FILENO) != 0)
                   .c_str(),
               stderr);
  CheckAllTrained(prepared.train, flags.data, flags.longest, flags.may_cut, flags.may_skip);
  const bool is_evaluated = eval || flags.eval_share > 0;
  if (is_evaluated && prepared.eval.samples.empty() && !prepared.leaks.empty())
    throw Error(
        Code::kBadInput,
        "{}: all {} examples of eval are in train as well: give others, or evaluate on them "
        "all the same with --allow-leaks",
        eval ? flags.eval_data : flags.data, prepared.leaks.size());
  if (is_evaluated && !eval && prepared.eval.samples.empty() && prepared.eval.untrained.empty())
    throw Error(Code::kBadInput, "--eval-share {}: of {} examples that is none", flags.eval_share,
                dataset.examples.size());
  if (is_evaluated)
    CheckAllTrained(prepared.eval, eval ? flags.eval_data : flags.data, flags.longest,
                    flags.may_cut, flags.may_skip);
  train::Facts facts = FactsOf(flags, prepared);
  return {Take(&prepared.train.samples), Take(&prepared.eval.samples), std::move(facts)};
}

}  // namespace slm::cli
