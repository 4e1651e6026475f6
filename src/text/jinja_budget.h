// What a running render may still use. One render owns its thread: the budget is a thread-local
// pointer, so that values can account for themselves without being handed an allocator.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slm::text::jinja {

struct Limits;

class Budget {
 public:
  explicit Budget(const Limits& limits);
  ~Budget();
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // Counts work. Outside a render (constants at parse time) nothing is counted.
  static void Step(int64_t count = 1) {
    if (current_ != nullptr && (current_->steps_ -= count) < 0) FailSteps();
  }
  // For work in proportion to a number of bytes that are scanned or copied.
  static void StepBytes(size_t bytes) { Step(1 + static_cast<int64_t>(bytes / 64)); }

  // Reserves memory of a value; returns what Return() gives back when the value dies.
  static size_t Take(size_t bytes);
  static void Return(size_t bytes) {
    if (current_ != nullptr) current_->memory_ += static_cast<int64_t>(bytes);
  }
  // Throws when a value of count * unit bytes would not fit, before it is built.
  static void CheckFits(int64_t count, int64_t unit);

  // Entering one more nested evaluation.
  class Depth {
   public:
    Depth() {
      if (current_ != nullptr && --current_->depth_ < 0) FailDepth();
    }
    ~Depth() {
      if (current_ != nullptr) ++current_->depth_;
    }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;
  };

 private:
  [[noreturn]] static void FailSteps();
  [[noreturn]] static void FailDepth();

  static thread_local Budget* current_;
  int64_t steps_;
  int64_t memory_;
  int64_t depth_;
  Budget* outer_;
};

}  // namespace slm::text::jinja
