#include "eval/label_scores.h"

#include "base/error.h"
#include "eval/cross_entropy.h"

namespace slm::eval {

std::vector<double> ScoreAnswers(engine::Executor* executor, engine::Session* session,
                                 std::span<const int32_t> prompt,
                                 std::span<const std::vector<int32_t>> answers) {
  std::vector<double> scores;
  {
    const std::span<const float> logits = executor->Extend(session, prompt);
    for (const std::vector<int32_t>& answer : answers) {
      SLM_CHECK(!answer.empty());
      if (static_cast<int64_t>(answer.size()) > engine::Executor::kMaxRows)
        throw Error(Code::kUnsupported, "an answer of {} tokens: expected at most {}",
                    answer.size(), engine::Executor::kMaxRows);
      scores.push_back(-CrossEntropy(logits, answer[0]));
    }
  }
  // The tokens behind the first, but the last, whose own successor is not asked for.
  for (size_t first = 0; first < answers.size();) {
    std::vector<engine::Session> forks;
    std::vector<size_t> of_fork;
    size_t rows = 0, next = first;
    for (; next < answers.size(); ++next) {
      const size_t count = answers[next].size() - 1;
      if (count == 0) continue;
      if (rows + count > static_cast<size_t>(engine::Executor::kMaxRows)) break;
      rows += count;
      forks.push_back(session->Fork());
      of_fork.push_back(next);
    }
    first = next;
    std::vector<engine::BatchItem> batch;
    for (size_t i = 0; i < forks.size(); ++i) {
      const auto tokens = std::span(answers[of_fork[i]]);
      batch.push_back(
          {&forks[i], tokens.first(tokens.size() - 1), static_cast<int64_t>(tokens.size()) - 1});
    }
    if (batch.empty()) continue;
    executor->Forward(batch, [&](size_t item, int64_t row, std::span<const float> logits) {
      const std::vector<int32_t>& answer = answers[of_fork[item]];
      scores[of_fork[item]] -= CrossEntropy(logits, answer[static_cast<size_t>(row) + 1]);
    });
  }
  return scores;
}

}  // namespace slm::eval
