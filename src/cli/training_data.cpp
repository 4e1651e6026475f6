#include "cli/training_data.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/error.h"
#include "cli/mask_report.h"
#include "train/prepare_data.h"
#include "train/token_data.h"

namespace slm::cli {
namespace {

std::vector<train::Sample> Take(std::vector<train::TokenizedSample>* from) {
  std::vector<train::Sample> samples;
  for (train::TokenizedSample& sample : *from) samples.push_back(std::move(sample.sample));
  return samples;
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
    facts.push_back({"in both", fmt::format("{} left out of evaluation", data.leaks.size())});
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
      loaded->tokenizer(), needs_template ? &loaded->chat_template() : nullptr, {flags.longest});
  train::PreparedData prepared =
      train::Prepare(dataset, eval ? &*eval : nullptr, tokenizer,
                     {flags.eval_share, flags.run.seed, flags.removes_duplicates});
  if (shows)
    std::fputs(MaskReport(prepared, dataset.format, loaded->tokenizer(), isatty(STDERR_FILENO) != 0)
                   .c_str(),
               stderr);
  CheckAllTrained(prepared.train, flags.data, flags.longest, flags.may_cut, flags.may_skip);
  if (eval || flags.eval_share > 0)
    CheckAllTrained(prepared.eval, eval ? flags.eval_data : flags.data, flags.longest,
                    flags.may_cut, flags.may_skip);
  train::Facts facts = FactsOf(flags, prepared);
  return {Take(&prepared.train.samples), Take(&prepared.eval.samples), std::move(facts)};
}

}  // namespace slm::cli
