#include "eval/likeliest_answer.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "eval/cross_entropy.h"

namespace slm::eval {
namespace {

constexpr size_t kRowsAtOnce = 64;  // as fast for each as many, and often enough

void CheckAnswers(std::span<const std::vector<int32_t>> answers) {
  SLM_CHECK(!answers.empty());
  for (const std::vector<int32_t>& answer : answers) {
    SLM_CHECK(!answer.empty());
    if (static_cast<int64_t>(answer.size()) > engine::Executor::kMaxRows)
      throw Error(Code::kUnsupported, "an answer of {} tokens: expected at most {}", answer.size(),
                  engine::Executor::kMaxRows);
  }
}

std::vector<double> ScoreFirstTokens(std::span<const float> logits,
                                     std::span<const std::vector<int32_t>> answers) {
  std::vector<double> scores;
  const double of_zero = -CrossEntropy(logits, 0) - static_cast<double>(logits[0]);
  for (const std::vector<int32_t>& answer : answers)
    scores.push_back(of_zero + static_cast<double>(logits[static_cast<size_t>(answer[0])]));
  return scores;
}

// Adds the tokens behind the first to the scores of the `chosen` ones. The last one's own successor
// is not asked for.
void ScoreRest(engine::Executor* executor, engine::Session* session,
               std::span<const std::vector<int32_t>> answers, std::span<const size_t> chosen,
               std::vector<double>* scores) {
  std::vector<engine::Session> forks;
  std::vector<size_t> of_fork;
  for (const size_t i : chosen)
    if (answers[i].size() > 1) {
      forks.push_back(session->Fork());
      of_fork.push_back(i);
    }
  if (forks.empty()) return;
  std::vector<engine::BatchItem> batch;
  for (size_t i = 0; i < forks.size(); ++i) {
    const auto tokens = std::span(answers[of_fork[i]]);
    batch.push_back(
        {&forks[i], tokens.first(tokens.size() - 1), static_cast<int64_t>(tokens.size()) - 1});
  }
  executor->Forward(batch, [&](size_t item, int64_t row, std::span<const float> logits) {
    const std::vector<int32_t>& answer = answers[of_fork[item]];
    (*scores)[of_fork[item]] -= CrossEntropy(logits, answer[static_cast<size_t>(row) + 1]);
  });
}

}  // namespace

LikeliestAnswer FindLikeliest(engine::Executor* executor, engine::Session* session,
                              std::span<const int32_t> prompt,
                              std::span<const std::vector<int32_t>> answers) {
  CheckAnswers(answers);
  std::vector<double> scores = ScoreFirstTokens(executor->Extend(session, prompt), answers);
  std::vector<size_t> order(answers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  LikeliestAnswer best = {0, -std::numeric_limits<double>::infinity()};
  for (size_t next = 0; next < order.size() && scores[order[next]] >= best.log_probability;) {
    const size_t first = next;
    for (size_t rows = 0; next < order.size(); ++next) {
      rows += answers[order[next]].size();
      if (next > first && rows > kRowsAtOnce) break;
    }
    const auto chosen = std::span(order).subspan(first, next - first);
    ScoreRest(executor, session, answers, chosen, &scores);
    for (const size_t i : chosen)
      if (scores[i] > best.log_probability || (scores[i] == best.log_probability && i < best.index))
        best = {i, scores[i]};
  }
  return best;
}

}  // namespace slm::eval
