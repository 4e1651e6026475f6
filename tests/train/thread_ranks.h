// Ranks that are threads of one process.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "train/ranks.h"

namespace slm::testing {

class ThreadRanks : public train::Ranks {
 public:
  // What is on its way between them.
  struct Post {
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::pair<int, int>, std::deque<std::vector<uint8_t>>> messages;  // by from, to
    std::exception_ptr error;  // of the first rank that failed
  };
  ThreadRanks(std::shared_ptr<Post> post, int rank, int size)
      : post_(std::move(post)), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void Send(int to, std::span<const uint8_t> bytes) override {
    const std::lock_guard lock(post_->mutex);
    post_->messages[{rank_, to}].emplace_back(bytes.begin(), bytes.end());
    post_->changed.notify_all();
  }
  void Receive(int from, std::span<uint8_t> bytes) override {
    std::unique_lock lock(post_->mutex);
    auto& messages = post_->messages[{from, rank_}];
    post_->changed.wait(lock, [&] { return !messages.empty() || post_->error; });
    if (messages.empty()) throw Error(Code::kFailed, "another rank failed");
    EXPECT_EQ(messages.front().size(), bytes.size());
    if (messages.front().size() == bytes.size())
      std::copy(messages.front().begin(), messages.front().end(), bytes.begin());
    messages.pop_front();
  }
  void Broadcast(std::span<uint8_t> bytes) override {
    if (rank_ > 0) return Receive(0, bytes);
    for (int to = 1; to < size_; ++to) Send(to, bytes);
  }

 private:
  std::shared_ptr<Post> post_;
  int rank_, size_;
};

// f(ranks) in a thread for each of `size` ranks. What one throws ends the others, and is thrown.
inline void OnRanks(int size, const std::function<void(std::shared_ptr<train::Ranks>)>& f) {
  const auto post = std::make_shared<ThreadRanks::Post>();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      try {
        f(std::make_shared<ThreadRanks>(post, rank, size));
      } catch (...) {
        const std::lock_guard lock(post->mutex);
        if (!post->error) post->error = std::current_exception();
        post->changed.notify_all();
      }
    });
  for (std::thread& thread : threads) thread.join();
  if (post->error) std::rethrow_exception(post->error);
  for (const auto& message : post->messages) EXPECT_TRUE(message.second.empty());
}

}  // namespace slm::testing
