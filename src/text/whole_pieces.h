// Remembers which tokens come out of their own bytes as themselves, so that a piece that is such a
// token costs one look-up. Not every token does: its merges may be out of reach.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace slm::text {

// Filled while texts are encoded, by any number of threads: each writes the same answer.
class WholePieces {
 public:
  enum State : uint8_t { kUnknown, kWhole, kSplit };

  explicit WholePieces(size_t num_tokens)
      : states_(std::make_unique<std::atomic<uint8_t>[]>(num_tokens)) {}

  State Get(int32_t id) const {
    return static_cast<State>(states_[static_cast<size_t>(id)].load(std::memory_order_relaxed));
  }
  void Set(int32_t id, bool is_whole) {
    states_[static_cast<size_t>(id)].store(is_whole ? kWhole : kSplit, std::memory_order_relaxed);
  }

 private:
  std::unique_ptr<std::atomic<uint8_t>[]> states_;
};

}  // namespace slm::text
