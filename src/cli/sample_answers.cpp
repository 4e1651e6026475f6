#include "cli/sample_answers.h"

#include <algorithm>

#include "base/random.h"
#include "eval/batch_answers.h"

namespace slm::cli {
namespace {

constexpr size_t kMostTokens = 64;   // of an answer
constexpr size_t kMostShown = 1024;  // tokens of a prompt, its last ones

struct Question {
  std::vector<int32_t> prompt, expected;
};

Question QuestionOf(const train::Sample& sample, const text::Tokenizer& tokenizer) {
  const auto is_trained = [&](size_t i) { return sample.labels[i] != train::kIgnored; };
  size_t last = sample.ids.size();
  while (last > 1 && !is_trained(last - 1)) --last;
  size_t first = last;
  while (first > 1 && is_trained(first - 1)) --first;
  if (first == 1) first = std::max<size_t>(1, last / 2);
  if (last > first && tokenizer.IsEndOfGeneration(sample.ids[last - 1])) --last;
  const auto at = [&](size_t i) { return sample.ids.begin() + static_cast<std::ptrdiff_t>(i); };
  return {{at(0), at(first)}, {at(first), at(last)}};
}

std::string TextOf(const text::Tokenizer& tokenizer, std::span<const int32_t> tokens) {
  const bool is_cut = tokens.size() > kMostTokens;
  return tokenizer.Decode(tokens.first(std::min(kMostTokens, tokens.size()))) +
         (is_cut ? " …" : "");
}

}  // namespace

std::vector<train::SampleAnswer> AnswerSamples(const Speaker& before, const Speaker& after,
                                               std::span<const train::Sample> samples,
                                               size_t count) {
  const text::Tokenizer& tokenizer = before.model->tokenizer();
  std::vector<std::pair<uint64_t, size_t>> order;
  for (size_t i = 0; i < samples.size(); ++i) order.push_back({RandomBits(0, i), i});
  std::sort(order.begin(), order.end());
  count = std::min(count, samples.size());
  std::vector<std::vector<int32_t>> prompts;
  std::vector<train::SampleAnswer> answers;
  eval::BatchAnswersOptions options;
  options.max_tokens = kMostTokens + 1;  // one more says that it goes on
  options.stop = tokenizer.end_of_generation();
  options.at_once = std::max<size_t>(1, count);
  for (size_t i = 0; i < count; ++i) {
    Question question = QuestionOf(samples[order[i].second], tokenizer);
    const std::span<const int32_t> prompt = question.prompt;
    const bool is_cut = prompt.size() > kMostShown;
    answers.push_back({(is_cut ? "… " : "") +
                           tokenizer.Decode(prompt.last(std::min(kMostShown, prompt.size())), true),
                       TextOf(tokenizer, question.expected), "", ""});
    options.session.context =
        std::max(options.session.context, static_cast<int64_t>(prompt.size() + kMostTokens));
    prompts.push_back(std::move(question.prompt));
  }
  options.session.context =
      std::min(options.session.context, before.model->model()->hparams().context);
  const auto answer = [&](const Speaker& speaker, std::string train::SampleAnswer::*said) {
    options.session.loras = speaker.loras;
    eval::AnswerAll(speaker.model->model(), &speaker.model->executor(), prompts, options,
                    [&](size_t i, const std::vector<int32_t>& tokens) {
                      answers[i].*said = TextOf(tokenizer, tokens);
                    });
  };
  answer(before, &train::SampleAnswer::before);
  answer(after, &train::SampleAnswer::after);
  return answers;
}

}  // namespace slm::cli
