// The memory that it takes to serve a model, part by part.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/model.h"
#include "ops/kv_layout.h"

namespace slm::plan {

// What is served at the same time.
struct ServingLoad {
  int64_t context = 0;   // tokens of each request, prompt and answer
  int64_t parallel = 1;  // requests
  kernels::KvType k_type = kernels::KvType::kF16;
  kernels::KvType v_type = kernels::KvType::kF16;
};

// Bytes that are resident when all contexts are full.
struct ServingMemory {
  uint64_t weights = 0;  // as products read them, and the rows of the embedding that were read
  uint64_t kv = 0;
  uint64_t activations = 0;  // of the largest batch, with logits
  uint64_t program = 0;      // it and the vocabulary

  uint64_t total() const { return weights + kv + activations + program; }
};

// By this program here. `model` may be a shape alone (shape_model.h).
ServingMemory MemoryHere(const std::shared_ptr<const engine::Model>& model,
                         const ServingLoad& load);
// By an engine that reads weights as they lie in the file, on a device whose system and other
// programs are not counted (Device::usable_bytes).
ServingMemory MemoryElsewhere(const std::shared_ptr<const engine::Model>& model,
                              const ServingLoad& load);

}  // namespace slm::plan
