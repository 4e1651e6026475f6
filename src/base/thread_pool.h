// Threads for loops whose chunks are claimed one by one, so that a slow core or a busy neighbour
// delays one chunk and not the whole loop. The calling thread works too. A worker that is asleep
// when a loop ends is not waited for.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace slm {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // the calling thread included; at least 1
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }
  int used() const { return used_; }  // that loops run on

  // Loops from now on run on the first `threads`, at least 1, at most all; the others sleep. One
  // that was busy or awake may take part in one more.
  void UseThreads(int threads);

  // Calls body(chunk, thread) for every chunk in [0, chunks), thread in [0, threads()). Which
  // thread runs a chunk is left to timing, so a result may not depend on it. Returns when all are
  // done. After an exception no chunk is begun, and the first one is rethrown when those that were
  // have ended. One loop at a time, not nested.
  template <class Body>
  void ParallelFor(int64_t chunks, const Body& body) {
    if (chunks <= 1 || used_.load(std::memory_order_relaxed) == 1) {
      for (int64_t chunk = 0; chunk < chunks; ++chunk) body(chunk, 0);
      return;
    }
    Run(chunks, &body, [](const void* context, int64_t chunk, int thread) {
      (*static_cast<const Body*>(context))(chunk, thread);
    });
  }

 private:
  using Call = void (*)(const void* context, int64_t chunk, int thread);

  void Run(int64_t chunks, const void* context, Call call);
  void RunChunks(int thread);
  void Work(int thread);
  void Stop();

  std::vector<std::thread> workers_;
  std::atomic<int> used_;  // threads that loops run on; the other workers sleep on it

  // The loop in progress. Written only while it is closed and nobody is inside.
  const void* context_ = nullptr;
  Call call_ = nullptr;
  int64_t chunks_ = 0;
  alignas(64) std::atomic<int64_t> next_{0};
  // Bit 31: open; below it: workers inside. A worker enters by adding one while the loop is open.
  alignas(64) std::atomic<uint32_t> gate_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};  // loops started so far; workers sleep on it
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

}  // namespace slm
