// What this machine reaches at best, as the scale for what slm reaches.
#pragma once

#include <cstddef>

#include "base/aligned_buffer.h"

namespace slm::engine {
class Runtime;
}

namespace slm::eval {

struct MachinePeak {
  double int8_macs_per_second = 0;   // with the threads for prompts
  double read_bytes_per_second = 0;  // from memory, with the threads for decoding
};

class MachineProbe {
 public:
  // Has a buffer of four times the last cache, of which that would otherwise hold a part, but no
  // more than an eighth of the free memory. `runtime` must outlive it.
  explicit MachineProbe(engine::Runtime* runtime);

  // Whether the buffer is so large that reading it is reading memory.
  bool is_past_the_caches() const;

  MachinePeak Measure();  // the best of three

 private:
  engine::Runtime* runtime_;
  AlignedBuffer buffer_;
};

}  // namespace slm::eval
