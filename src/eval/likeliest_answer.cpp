#include "eval/likeliest_answer.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <numeric>

#include "base/error.h"
#include "eval/cross_entropy.h"

namespace slm::eval {
namespace {

// As fast for each as many, and few that a likelier answer makes needless.
constexpr size_t kRowsAtOnce = 64;

void CheckAnswers(std::span<const std::vector<int32_t>> answers) {
  SLM_CHECK(!answers.empty());
  for (const std::vector<int32_t>& answer : answers) {
    SLM_CHECK(!answer.empty());
    if (static_cast<int64_t>(answer.size()) > engine::Executor::kMaxRows)
      throw Error(Code::kUnsupported, "an answer of {} tokens: expected at most {}", answer.size(),
                  engine::Executor::kMaxRows);
  }
}

// Tokens that some answers have in common behind others that they have in common: up to where they
// differ or one of them ends.
struct Edge {
  double score;                             // log p of all tokens up to the first of these
  std::vector<size_t> answers;              // ascending
  size_t begin, end;                        // of each of them
  std::shared_ptr<engine::Session> before;  // has the prompt and what is before `begin`
};

class Search {
 public:
  Search(engine::Executor* executor, std::span<const std::vector<int32_t>> answers)
      : executor_(executor), answers_(answers) {}

  // `logits` follow the prompt, which the session has.
  LikeliestAnswer Run(engine::Session* session, std::span<const float> logits) {
    std::vector<size_t> all(answers_.size());
    std::iota(all.begin(), all.end(), 0);
    // The caller's own.
    Branch({0, all, 0, 0, {std::shared_ptr<void>(), session}}, logits);
    while (IsOpen()) Step();
    return best_;
  }

 private:
  static bool IsLess(const Edge& a, const Edge& b) { return a.score < b.score; }

  // Whether an answer that is not known yet may be likelier than the best: its tokens to come only
  // take from what it has.
  bool IsOpen() const { return !edges_.empty() && edges_.front().score >= best_.log_probability; }

  // The edges that follow one, by the logits behind it.
  void Branch(const Edge& edge, std::span<const float> logits) {
    const double of_zero = edge.score - CrossEntropy(logits, 0) - static_cast<double>(logits[0]);
    std::map<int32_t, std::vector<size_t>> groups;
    for (const size_t i : edge.answers)
      if (answers_[i].size() > edge.end) groups[answers_[i][edge.end]].push_back(i);
    for (auto& each : groups) {
      std::vector<size_t>& group = each.second;
      const std::vector<int32_t>& first = answers_[group.front()];
      const auto is_common = [&](size_t at) {
        return std::all_of(group.begin(), group.end(), [&](size_t i) {
          return answers_[i].size() > at && answers_[i][at] == first[at];
        });
      };
      size_t end = edge.end + 1;
      while (is_common(end)) ++end;
      const double score = of_zero + static_cast<double>(logits[static_cast<size_t>(each.first)]);
      edges_.push_back({score, std::move(group), edge.end, end, edge.before});
      std::push_heap(edges_.begin(), edges_.end(), IsLess);
    }
  }

  // Answers that end where the edge does.
  void Finish(const Edge& edge) {
    for (const size_t i : edge.answers)
      if (answers_[i].size() == edge.end &&
          (edge.score > best_.log_probability ||
           (edge.score == best_.log_probability && i < best_.index)))
        best_ = {i, edge.score};
  }

  // Tokens of an edge whose successors are asked for: the last one's only where an answer goes on.
  size_t RowsOf(const Edge& edge) const {
    const bool goes_on = std::any_of(edge.answers.begin(), edge.answers.end(),
                                     [&](size_t i) { return answers_[i].size() > edge.end; });
    return edge.end - edge.begin - (goes_on ? 0 : 1);
  }

  // Computes the likeliest edges, some rows at once.
  void Step() {
    std::vector<Edge> chosen;
    std::vector<engine::BatchItem> batch;
    for (size_t rows = 0; IsOpen();) {
      rows += RowsOf(edges_.front());
      if (!batch.empty() && rows > kRowsAtOnce) break;
      std::pop_heap(edges_.begin(), edges_.end(), IsLess);
      Edge edge = std::move(edges_.back());
      edges_.pop_back();
      if (const size_t own = RowsOf(edge); own > 0) {
        edge.before = std::make_shared<engine::Session>(edge.before->Fork());
        batch.push_back({edge.before.get(),
                         std::span(answers_[edge.answers[0]]).subspan(edge.begin, own),
                         static_cast<int64_t>(own)});
        chosen.push_back(std::move(edge));
      } else {
        Finish(edge);
      }
    }
    if (batch.empty()) return;
    executor_->Forward(batch, [&](size_t item, int64_t row, std::span<const float> logits) {
      Edge& edge = chosen[item];
      const size_t next = edge.begin + static_cast<size_t>(row) + 1;
      if (next < edge.end) edge.score -= CrossEntropy(logits, answers_[edge.answers[0]][next]);
      if (next == edge.end) Branch(edge, logits);
    });
    for (const Edge& edge : chosen) Finish(edge);
  }

  engine::Executor* executor_;
  std::span<const std::vector<int32_t>> answers_;
  std::vector<Edge> edges_;  // a heap, the likeliest in front
  LikeliestAnswer best_ = {0, -std::numeric_limits<double>::infinity()};
};

}  // namespace

LikeliestAnswer FindLikeliest(engine::Executor* executor, engine::Session* session,
                              std::span<const int32_t> prompt,
                              std::span<const std::vector<int32_t>> answers) {
  CheckAnswers(answers);
  return Search(executor, answers).Run(session, executor->Extend(session, prompt));
}

}  // namespace slm::eval
