#include "base/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace slm {
namespace {

constexpr uint32_t kOpen = 1u << 31;

// How long a worker spins for the next loop before it sleeps. Loops of one token follow each other
// within microseconds; waking a sleeper costs tens of them.
constexpr auto kSpin = std::chrono::microseconds(50);
// And the caller for the last of them: about as long as the work that one takes at a time.
constexpr auto kCallerSpin = std::chrono::microseconds(300);

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // `yield` takes no time on cores with one thread
#else
  std::this_thread::yield();
#endif
}

// True as soon as done() is; false after `limit`.
template <class Done>
bool SpinUntil(const Done& done, std::chrono::microseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return done();
}

}  // namespace

ThreadPool::ThreadPool(int threads) : used_(threads) {
  try {
    for (int thread = 1; thread < threads; ++thread)
      workers_.emplace_back([this, thread] { Work(thread); });
  } catch (const std::system_error& error) {
    Stop();
    throw Error(Code::kFailed, "cannot start {} threads: {}", threads, error.what());
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::UseThreads(int threads) {
  threads = std::clamp(threads, 1, this->threads());
  if (used_.exchange(threads) < threads) used_.notify_all();
}

void ThreadPool::Stop() {
  stop_ = true;
  UseThreads(threads());
  ++generation_;
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(int64_t chunks, const void* context, Call call) {
  context_ = context;
  call_ = call;
  chunks_ = chunks;
  next_.store(0, std::memory_order_relaxed);
  gate_.store(kOpen);
  ++generation_;
  // A worker counts itself before it sleeps and the futex compares the generation: either it is
  // seen here or it sees the new generation.
  if (sleepers_.load() > 0) generation_.notify_all();
  RunChunks(0);
  gate_.fetch_and(~kOpen);
  // Asleep, this thread leaves its core to a worker that another process keeps from its own.
  if (!SpinUntil([this] { return gate_.load() == 0; }, kCallerSpin))
    for (uint32_t gate; (gate = gate_.load()) > 0;) gate_.wait(gate);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::RunChunks(int thread) {
  for (int64_t chunk; (chunk = next_.fetch_add(1, std::memory_order_relaxed)) < chunks_;) {
    try {
      call_(context_, chunk, thread);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
      next_ = chunks_;
    }
  }
}

void ThreadPool::Work(int thread) {
  uint32_t seen = 0;
  for (;;) {
    for (int used; (used = used_.load()) <= thread && !stop_;) used_.wait(used);
    const auto started = [&] { return generation_.load() != seen; };
    if (!SpinUntil(started, kSpin)) {
      ++sleepers_;
      generation_.wait(seen);
      --sleepers_;
    }
    if (stop_) return;
    seen = generation_.load();
    uint32_t gate = gate_.load();
    while ((gate & kOpen) && !gate_.compare_exchange_weak(gate, gate + 1)) {
    }
    if (!(gate & kOpen)) continue;
    RunChunks(thread);
    if (gate_.fetch_sub(1) == 1) gate_.notify_one();
  }
}

}  // namespace slm
