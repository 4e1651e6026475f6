#include "eval/batch_answers.h"

#include <algorithm>
#include <memory>

#include "engine/sampler.h"

namespace slm::eval {
namespace {

// One answer in progress.
struct Lane {
  engine::Session session;
  size_t prompt = 0;
  std::vector<int32_t> all;  // prompt and answer
  size_t prompt_size = 0;
  bool is_done = false;
};

class Answering {
 public:
  Answering(const std::shared_ptr<const engine::Model>& model, engine::Executor* executor,
            std::span<const std::vector<int32_t>> prompts, const BatchAnswersOptions& options,
            const std::function<void(size_t, const std::vector<int32_t>&)>& done)
      : model_(model), executor_(executor), prompts_(prompts), options_(options), done_(done) {}

  void Run() {
    while (true) {
      Fill();
      if (lanes_.empty()) return;
      Step();
      for (const auto& lane : lanes_)
        if (lane->is_done)
          done_(lane->prompt, {lane->all.begin() + static_cast<std::ptrdiff_t>(lane->prompt_size),
                               lane->all.end()});
      std::erase_if(lanes_, [](const auto& lane) { return lane->is_done; });
    }
  }

 private:
  void Fill() {
    while (lanes_.size() < options_.at_once && next_ < prompts_.size()) {
      const std::vector<int32_t>& prompt = prompts_[next_];
      lanes_.push_back(std::unique_ptr<Lane>(
          new Lane{engine::Session(model_, options_.session), next_, prompt, prompt.size()}));
      ++next_;
    }
  }

  // One token of every lane that has its prompt behind it, and as much of prompts as there is room.
  void Step() {
    std::vector<engine::BatchItem> batch;
    std::vector<Lane*> lanes;
    int64_t room = engine::Executor::kMaxRows;
    for (const auto& lane : lanes_) {
      const size_t known = lane->session.tokens().size(), left = lane->all.size() - known;
      const auto count = std::min(room, static_cast<int64_t>(left));
      if (count == 0) continue;
      room -= count;
      const bool is_whole = count == static_cast<int64_t>(left);
      batch.push_back({&lane->session,
                       std::span(lane->all).subspan(known, static_cast<size_t>(count)), is_whole});
      lanes.push_back(lane.get());
    }
    executor_->Forward(batch, [&](size_t item, int64_t, std::span<const float> logits) {
      Take(logits, lanes[item]);
    });
  }

  void Take(std::span<const float> logits, Lane* lane) const {
    const int32_t token = sampler_.Sample(logits, lane->all);
    const auto said = static_cast<int64_t>(lane->all.size() - lane->prompt_size);
    if (std::find(options_.stop.begin(), options_.stop.end(), token) != options_.stop.end()) {
      lane->is_done = true;
      return;
    }
    lane->all.push_back(token);
    lane->is_done = said + 1 >= options_.max_tokens ||
                    static_cast<int64_t>(lane->all.size()) > lane->session.context();
  }

  const std::shared_ptr<const engine::Model>& model_;
  engine::Executor* executor_;
  const std::span<const std::vector<int32_t>> prompts_;
  const BatchAnswersOptions& options_;
  const std::function<void(size_t, const std::vector<int32_t>&)>& done_;
  const engine::Sampler sampler_{[] {
    engine::SamplerOptions greedy;
    greedy.temperature = 0;
    return greedy;
  }()};
  std::vector<std::unique_ptr<Lane>> lanes_;
  size_t next_ = 0;
};

}  // namespace

void AnswerAll(const std::shared_ptr<const engine::Model>& model, engine::Executor* executor,
               std::span<const std::vector<int32_t>> prompts, const BatchAnswersOptions& options,
               const std::function<void(size_t, const std::vector<int32_t>&)>& done) {
  Answering(model, executor, prompts, options, done).Run();
}

}  // namespace slm::eval
