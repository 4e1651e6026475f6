#include "engine/generate.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "engine/ngram_index.h"

namespace slm::engine {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Generation {
 public:
  Generation(Executor* executor, Session* session, std::span<const int32_t> prompt,
             const Sampler& sampler, const GenerateOptions& options, int64_t limit)
      : executor_(executor),
        session_(session),
        sampler_(sampler),
        options_(options),
        limit_(limit),
        all_(prompt.begin(), prompt.end()) {
    result_.prompt_tokens = static_cast<int64_t>(prompt.size());
  }

  GenerateResult Run() {
    result_.cached_tokens = session_->KeepPrefix(all_, result_.prompt_tokens - 1);
    if (limit_ == 0)
      result_.reason = FinishReason::kLength;
    else if (Start())
      while (Step()) continue;
    result_.decode_seconds = SecondsSince(start_);
    session_->Mark();
    return std::move(result_);
  }

 private:
  bool Cancel() {
    result_.reason = FinishReason::kCancelled;
    return false;
  }

  // Computes the prompt and takes the first token. False, as below: that was the end.
  bool Start() {
    const std::span<const float> logits = executor_->Extend(session_, all_, options_.is_cancelled);
    if (logits.empty()) return Cancel();
    session_->Mark();
    return Take(logits);
  }

  // Computes the last token and guesses, and takes those of the next tokens that follow from them.
  bool Step() {
    FindGuesses();
    const auto first = static_cast<int64_t>(all_.size());
    const auto columns = static_cast<int64_t>(batch_.size());
    const BatchItem item = {session_, batch_, columns};
    const Clock::time_point start = Clock::now();
    double seconds = 0;
    bool goes_on = true, is_right = true;
    const auto take = [&](size_t, int64_t row, std::span<const float> logits) {
      if (row == 0) seconds = SecondsSince(start);
      if (!goes_on || !is_right) return;  // what follows a wrong guess
      goes_on = Take(logits);
      is_right = row + 1 < columns && all_.back() == batch_[static_cast<size_t>(row) + 1];
    };
    if (!executor_->Forward({&item, 1}, take, options_.is_cancelled)) return Cancel();
    // The session is left as without guesses: it holds what the last token was drawn from.
    if (columns > 1) session_->KeepPrefix(all_, drawn_from_);
    if (options_.speculator) Judge(first, seconds);
    return goes_on;
  }

  // The next token; false: that was the end.
  bool Take(std::span<const float> logits) {
    if (options_.is_cancelled && options_.is_cancelled()) return Cancel();
    drawn_from_ = static_cast<int64_t>(all_.size());
    const int32_t token = sampler_.Sample(logits, all_);
    if (drawn_from_ == result_.prompt_tokens) {
      result_.prompt_seconds = SecondsSince(start_);
      start_ = Clock::now();
    }
    if (std::binary_search(options_.stop.begin(), options_.stop.end(), token)) return false;
    all_.push_back(token);
    result_.tokens.push_back(token);
    if (options_.on_token && !options_.on_token(token)) return false;
    if (static_cast<int64_t>(result_.tokens.size()) < limit_) return true;
    result_.reason = FinishReason::kLength;
    return false;
  }

  // Fills guesses_, all there are, and batch_: the last token and those guesses that are worth it.
  void FindGuesses() {
    batch_.assign({all_.back()});
    guesses_.clear();
    if (!options_.speculator) return;
    match_ = index_.Find(all_);
    if (match_.length == 0) return;
    // No more than the answer has room for, besides the token that the last of them gives.
    const int64_t room = limit_ - static_cast<int64_t>(result_.tokens.size()) - 1;
    for (int64_t i = 0; i < std::min(room, Speculator::kMost); ++i) {
      // What ends the list goes on with what it has just guessed.
      const auto at = static_cast<size_t>(match_.next + i);
      const int32_t guess = at < all_.size() ? all_[at] : guesses_[at - all_.size()];
      if (std::binary_search(options_.stop.begin(), options_.stop.end(), guess)) break;
      guesses_.push_back(guess);
    }
    const int64_t tried =
        options_.speculator->Choose(match_.length, static_cast<int64_t>(guesses_.size()));
    batch_.insert(batch_.end(), guesses_.begin(), guesses_.begin() + tried);
  }

  // Tells the speculator what the step cost and which guesses were right, all_[first] on.
  void Judge(int64_t first, double seconds) {
    const auto tried = static_cast<int64_t>(batch_.size()) - 1;
    const int64_t taken = static_cast<int64_t>(all_.size()) - first;
    options_.speculator->OnStep(tried + 1, seconds);
    result_.drafted_tokens += tried;
    for (int64_t i = 0; i < std::min(taken, static_cast<int64_t>(guesses_.size())); ++i) {
      const bool is_right =
          guesses_[static_cast<size_t>(i)] == all_[static_cast<size_t>(first + i)];
      options_.speculator->OnGuess(match_.length + i, is_right);
      if (!is_right) break;
      if (i < tried) ++result_.accepted_tokens;
    }
  }

  Executor* executor_;
  Session* session_;
  const Sampler& sampler_;
  const GenerateOptions& options_;
  int64_t limit_;             // of tokens
  std::vector<int32_t> all_;  // the prompt and the answer
  int64_t drawn_from_ = 0;    // tokens before the last one that was drawn
  NgramIndex index_;
  NgramIndex::Match match_;
  std::vector<int32_t> guesses_, batch_;
  GenerateResult result_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

GenerateResult Generate(Executor* executor, Session* session, std::span<const int32_t> prompt,
                        const Sampler& sampler, const GenerateOptions& options) {
  const auto prompt_size = static_cast<int64_t>(prompt.size());
  const int64_t context = session->context();
  if (prompt.empty()) throw Error(Code::kBadInput, "the prompt has no tokens");
  const int64_t wanted = options.max_tokens < 0 ? 1 : options.max_tokens;
  if (wanted > context - prompt_size)
    throw Error(Code::kBadInput,
                "the prompt has {} tokens and {} are to be generated, but the context is {}; "
                "enlarge it with -c or "
                "shorten the prompt",
                prompt_size, options.max_tokens < 0 ? "more" : std::to_string(wanted), context);
  const int64_t limit = options.max_tokens < 0 ? context - prompt_size : options.max_tokens;
  return Generation(executor, session, prompt, sampler, options, limit).Run();
}

}  // namespace slm::engine
