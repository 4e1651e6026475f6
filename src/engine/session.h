// One token sequence and what the model remembers of it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/kv_cache.h"
#include "engine/lora.h"
#include "engine/model.h"
#include "model/rope.h"

namespace slm::engine {

struct SessionOptions {
  int64_t context = 0;  // positions; 0: DefaultContext
  kernels::KvType k_type = kernels::KvType::kF16;
  kernels::KvType v_type = kernels::KvType::kF16;
  // Adapters of all its tokens: what they add is added up. Keys and values hold it, so a session
  // keeps its own.
  std::vector<std::shared_ptr<const Lora>> loras = {};
  // One layer's keys and values at a time, for who computes layer by layer (Executor::RunLayer).
  bool is_by_layer = false;
};

// The model's own limit, or less where the memory that is free now would not hold the keys and
// values.
int64_t DefaultContext(const Model& model, const SessionOptions& options);

class Session {
 public:
  Session(std::shared_ptr<const Model> model, const SessionOptions& options);

  const Model& model() const { return *model_; }
  int64_t context() const { return context_; }
  const std::vector<int32_t>& tokens() const { return tokens_; }

  // Keeps what is known of the longest common prefix with `tokens`, at most `most` of it; returns
  // the length kept.
  int64_t KeepPrefix(std::span<const int32_t> tokens, int64_t most);
  // Another session that holds the same; memory is shared until one of both goes on.
  Session Fork() const;
  // A place that a later edit is likely to go back to: the end of a chat turn.
  void Mark() { cache_.Mark(); }

 private:
  friend class Executor;
  Session(const Session& other, KvCache cache);

  std::shared_ptr<const Model> model_;
  int64_t context_;
  std::vector<std::shared_ptr<const Lora>> loras_;
  KvCache cache_;
  model::Rope rope_, window_rope_;
  std::vector<int32_t> tokens_;
};

}  // namespace slm::engine
