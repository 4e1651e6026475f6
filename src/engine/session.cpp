#include "engine/session.h"

#include <algorithm>

#include "base/cpu.h"
#include "base/error.h"

namespace slm::engine {

int64_t DefaultContext(const Model& model, const SessionOptions& options) {
  const model::Hparams& hparams = model.hparams();
  const uint64_t available = GetMemoryInfo().available_bytes,
                 mapped = model.packed().mapped_bytes();
  // Half of what is free: the activations, the logits and other programs need room too.
  const uint64_t budget = (available - std::min(available, mapped)) / 2;
  int64_t context = hparams.context;
  while (context > 512 &&
         KvCache::BytesFor(hparams, options.k_type, options.v_type, context) > budget)
    context /= 2;
  return context;
}

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : model_(std::move(model)),
      context_(options.context > 0 ? options.context : DefaultContext(*model_, options)),
      loras_(options.loras),
      cache_(model_->hparams(), options.k_type, options.v_type, options.is_by_layer),
      rope_(model_->hparams(), model_->weights(), false, context_),
      window_rope_(model_->hparams(), model_->weights(), true, context_) {}

Session::Session(const Session& other, KvCache cache)
    : model_(other.model_),
      context_(other.context_),
      loras_(other.loras_),
      cache_(std::move(cache)),
      rope_(other.rope_),
      window_rope_(other.window_rope_),
      tokens_(other.tokens_) {}

Session Session::Fork() const { return Session(*this, cache_.Fork()); }

int64_t Session::KeepPrefix(std::span<const int32_t> tokens, int64_t most) {
  const auto limit = static_cast<size_t>(std::max<int64_t>(most, 0));
  size_t common = 0;
  while (common < std::min({tokens.size(), tokens_.size(), limit}) &&
         tokens[common] == tokens_[common])
    ++common;
  const int64_t kept = cache_.CutBack(static_cast<int64_t>(common));
  tokens_.resize(static_cast<size_t>(kept));
  return kept;
}

}  // namespace slm::engine
