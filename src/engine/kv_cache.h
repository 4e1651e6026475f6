// Keys and values of one token sequence: pages of 64 positions per layer, taken as they are needed.
// A layer with a window gives up the pages that lie wholly before it; marks keep the window's pages
// of earlier lengths, so that the sequence can be cut back to them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/hparams.h"
#include "ops/kv_layout.h"

namespace slm::engine {

class KvCache {
 public:
  // `is_by_layer`: all layers have the same pages; nothing of them is kept.
  KvCache(const model::Hparams& hparams, kernels::KvType k_type, kernels::KvType v_type,
          bool is_by_layer = false);
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;

  // Another cache that holds the same. Pages are shared until one of both writes to them.
  KvCache Fork() const { return *this; }

  int64_t length() const { return length_; }
  const ops::KvLayout& layout() const { return layout_; }

  // Positions that are reserved at once at most.
  static constexpr int64_t kReservedAtOnce = 512;

  // Takes the pages for positions [length, length + count). Throws kFailed when memory runs out.
  void Reserve(int64_t count);
  // Counts `count` reserved positions as filled and drops what no later position can see.
  void Advance(int64_t count);
  // Page p of a layer holds positions 64 p..; dropped ones are nullptr.
  std::span<uint8_t* const> Pages(int64_t layer) const {
    return layers_[is_by_layer_ ? 0 : static_cast<size_t>(layer)].data;
  }

  // Remembers the present length as one that CutBack can return to. The oldest marks are forgotten.
  void Mark();
  // Cuts to the greatest length <= most at which every layer still has what it needs, and returns
  // it.
  int64_t CutBack(int64_t most);

  // Bytes that the pages of `positions` positions take at most, with windows, marks and what is
  // reserved ahead.
  static uint64_t BytesFor(const model::Hparams& hparams, kernels::KvType k_type,
                           kernels::KvType v_type, int64_t positions);
  // The same of a cache by layer.
  static uint64_t BytesByLayer(const model::Hparams& hparams, kernels::KvType k_type,
                               kernels::KvType v_type, int64_t positions);
  // Bytes that attention reads for the token at position `positions` - 1.
  static uint64_t BytesRead(const model::Hparams& hparams, kernels::KvType k_type,
                            kernels::KvType v_type, int64_t positions);

 private:
  KvCache(const KvCache&) = default;

  using Page = std::shared_ptr<uint8_t>;
  struct Layer {
    bool has_window;
    std::vector<Page> pages;
    std::vector<uint8_t*> data;  // of the pages
    void Set(size_t index, Page page);
    void Push(Page page);
    void Resize(size_t count);
  };
  struct MarkedLength {
    int64_t length;
    std::vector<std::vector<Page>>
        windows;  // per layer with a window, all its pages at that length
  };

  // Pages that were given up, for the next ones: taking them from the system anew costs more than
  // filling them.
  class Pool;
  Page NewPage();
  Page CopyOf(const uint8_t* page);

  bool HasWindowAt(int64_t length) const;

  int64_t window_;
  bool is_by_layer_;
  ops::KvLayout layout_;
  int64_t length_ = 0;
  std::shared_ptr<Pool> pool_;
  std::vector<Layer> layers_;
  std::vector<MarkedLength> marks_;
};

}  // namespace slm::engine
