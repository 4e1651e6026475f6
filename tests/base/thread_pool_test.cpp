#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>

namespace slm {
namespace {

TEST(ThreadPool, RunsEveryChunkOnce) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int round = 0; round < 3000; ++round) {
      const int64_t chunks = round % 17;
      std::vector<int> count(17);
      pool.ParallelFor(chunks, [&](int64_t chunk, int thread) {
        ASSERT_LT(thread, threads);
        ++count[static_cast<size_t>(chunk)];
      });
      EXPECT_EQ(std::accumulate(count.begin(), count.end(), 0), chunks);
      EXPECT_EQ(*std::max_element(count.begin(), count.end()), chunks ? 1 : 0);
    }
  }
}

TEST(ThreadPool, WakesSleepersAndDoesNotWaitForThem) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the workers fall asleep
    std::atomic<int> sum{0};
    pool.ParallelFor(100, [&](int64_t chunk, int) { sum += static_cast<int>(chunk); });
    EXPECT_EQ(sum, 4950);
  }
}

TEST(ThreadPool, UsesAsManyThreadsAsItIsTold) {
  ThreadPool pool(4);
  for (const int used : {2, 4, 1, 3}) {
    pool.UseThreads(used);
    std::atomic<int> others{0};  // chunks that a thread took which should sleep
    for (int round = 0; round < 300; ++round) {
      if (round % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      std::atomic<int> sum{0};
      std::atomic<bool> has_other{false};
      pool.ParallelFor(50, [&](int64_t chunk, int thread) {
        sum += static_cast<int>(chunk);
        if (thread >= used) has_other = true;
      });
      EXPECT_EQ(sum, 1225);
      if (has_other) ++others;
    }
    EXPECT_LE(others, 4 - used);  // one loop each, at most
  }
  EXPECT_EQ(pool.threads(), 4);
}

TEST(ThreadPool, RethrowsTheFirstExceptionAndStaysUsable) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> ran{0};
    const auto body = [&](int64_t chunk, int) {
      ++ran;
      if (chunk == 7) throw std::runtime_error("seven");
      if (chunk > 7) std::this_thread::sleep_for(std::chrono::microseconds(100));
    };
    EXPECT_THROW(pool.ParallelFor(5000, body), std::runtime_error);
    EXPECT_LT(ran, 5000);
  }
}

}  // namespace
}  // namespace slm
