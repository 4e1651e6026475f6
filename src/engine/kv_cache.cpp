#include "engine/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/aligned_buffer.h"

namespace slm::engine {
namespace {

using kernels::kPagePositions;

// Positions behind the window that stay, so that cutting back a little needs no mark.
constexpr int64_t kSlack = 512;
// Marks keep pages alive: so many windows' worth at most, in windows.
constexpr int64_t kMarkedWindows = 4;

size_t PagesFor(int64_t positions) {
  return static_cast<size_t>((positions + kPagePositions - 1) / kPagePositions);
}

// The first page that a position >= length reads.
size_t FirstPage(int64_t window, int64_t length) {
  return static_cast<size_t>(std::max<int64_t>(0, length - window + 1) / kPagePositions);
}

}  // namespace

// Pages are cut from slabs: those are large enough for huge pages, without which reading keys and
// values waits for the TLB.
class KvCache::Pool {
 public:
  explicit Pool(size_t page_bytes) : stride_((page_bytes + 63) / 64 * 64) {}

  uint8_t* Take() {
    if (free_.empty()) {
      if (slabs_.empty() || used_ + stride_ > slabs_.back().size()) {
        slabs_.emplace_back(std::max(kSlabBytes, stride_));
        used_ = 0;
      }
      used_ += stride_;
      return slabs_.back().data() + used_ - stride_;
    }
    uint8_t* page = free_.back();
    free_.pop_back();
    return page;
  }
  void GiveBack(uint8_t* page) { free_.push_back(page); }

 private:
  static constexpr size_t kSlabBytes = size_t{16} << 20;

  size_t stride_;
  size_t used_ = 0;  // bytes of the last slab
  std::vector<AlignedBuffer> slabs_;
  std::vector<uint8_t*> free_;
};

KvCache::KvCache(const model::Hparams& hparams, kernels::KvType k_type, kernels::KvType v_type,
                 bool is_by_layer)
    : window_(hparams.window),
      is_by_layer_(is_by_layer),
      layout_{k_type, v_type, hparams.kv_heads, hparams.head_dim},
      pool_(std::make_shared<Pool>(layout_.page_bytes())) {
  if (is_by_layer) layers_.push_back({false, {}, {}});
  for (int64_t layer = 0; layer < hparams.layers && !is_by_layer; ++layer)
    layers_.push_back({hparams.IsWindowLayer(layer), {}, {}});
}

KvCache::Page KvCache::NewPage() {
  return Page(pool_->Take(), [pool = pool_](uint8_t* page) { pool->GiveBack(page); });
}

void KvCache::Layer::Set(size_t index, Page page) {
  data[index] = page.get();
  pages[index] = std::move(page);
}

void KvCache::Layer::Push(Page page) {
  data.push_back(page.get());
  pages.push_back(std::move(page));
}

void KvCache::Layer::Resize(size_t count) {
  pages.resize(count);
  data.resize(count);
}

KvCache::Page KvCache::CopyOf(const uint8_t* page) {
  Page copy = NewPage();
  std::memcpy(copy.get(), page, layout_.page_bytes());
  return copy;
}

void KvCache::Reserve(int64_t count) {
  const size_t needed = PagesFor(length_ + count);
  const auto first = static_cast<size_t>(length_ / kPagePositions);
  for (Layer& layer : layers_) {
    // What a fork or a mark has as well is not written to.
    for (size_t p = first; p < std::min(needed, layer.pages.size()); ++p)
      if (layer.pages[p].use_count() > 1) layer.Set(p, CopyOf(layer.data[p]));
    while (layer.pages.size() < needed) layer.Push(NewPage());
  }
}

void KvCache::Advance(int64_t count) {
  length_ += count;
  const size_t first = FirstPage(window_, std::max<int64_t>(0, length_ - kSlack));
  for (Layer& layer : layers_)
    for (size_t p = layer.has_window ? first : 0; p-- > 0 && layer.pages[p];) layer.Set(p, nullptr);
}

void KvCache::Mark() {
  if (window_ == 0 || length_ == 0) return;
  if (!marks_.empty() && marks_.back().length == length_) return;
  MarkedLength mark = {length_, {}};
  for (const Layer& layer : layers_) {
    if (!layer.has_window) continue;
    mark.windows.push_back(layer.pages);
    std::fill_n(mark.windows.back().begin(), FirstPage(window_, length_), nullptr);
  }
  marks_.push_back(std::move(mark));
  // Marks that lie close together share pages.
  int64_t kept = 0;
  for (size_t i = marks_.size(); i-- > 0;) {
    kept += std::min(window_, marks_[i].length - (i == 0 ? 0 : marks_[i - 1].length));
    if (kept <= kMarkedWindows * window_) continue;
    marks_.erase(marks_.begin(), marks_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    return;
  }
}

bool KvCache::HasWindowAt(int64_t length) const {
  for (const Layer& layer : layers_)
    for (size_t p = FirstPage(window_, length); layer.has_window && p < PagesFor(length); ++p)
      if (!layer.pages[p]) return false;
  return true;
}

int64_t KvCache::CutBack(int64_t most) {
  most = std::min(most, length_);
  // A mark at n stays good as long as positions below n are not written again.
  while (!marks_.empty() && marks_.back().length > most) marks_.pop_back();
  int64_t length = most;
  if (!HasWindowAt(most)) {
    length = marks_.empty() ? 0 : marks_.back().length;
    size_t w = 0;
    for (Layer& layer : layers_) {
      if (!layer.has_window) continue;
      layer.Resize(PagesFor(length));
      for (size_t p = 0; p < layer.pages.size(); ++p) layer.Set(p, marks_.back().windows[w][p]);
      ++w;
    }
  }
  for (Layer& layer : layers_) layer.Resize(PagesFor(length));
  return length_ = length;
}

uint64_t KvCache::BytesFor(const model::Hparams& hparams, kernels::KvType k_type,
                           kernels::KvType v_type, int64_t positions) {
  const ops::KvLayout layout = {k_type, v_type, hparams.kv_heads, hparams.head_dim};
  uint64_t pages = 0;
  for (int64_t layer = 0; layer < hparams.layers; ++layer) {
    const int64_t most =
        (1 + kMarkedWindows) * hparams.window + kSlack + kReservedAtOnce + kPagePositions;
    pages += PagesFor(hparams.IsWindowLayer(layer) ? std::min(positions, most) : positions);
  }
  return pages * layout.page_bytes();
}

uint64_t KvCache::BytesByLayer(const model::Hparams& hparams, kernels::KvType k_type,
                               kernels::KvType v_type, int64_t positions) {
  const ops::KvLayout layout = {k_type, v_type, hparams.kv_heads, hparams.head_dim};
  constexpr uint64_t kHugePage = uint64_t{2} << 20;  // slabs are on those
  const uint64_t bytes = PagesFor(positions) * layout.page_bytes();
  return (bytes + kHugePage - 1) / kHugePage * kHugePage;
}

uint64_t KvCache::BytesRead(const model::Hparams& hparams, kernels::KvType k_type,
                            kernels::KvType v_type, int64_t positions) {
  const ops::KvLayout layout = {k_type, v_type, hparams.kv_heads, hparams.head_dim};
  uint64_t seen = 0;
  for (int64_t layer = 0; layer < hparams.layers; ++layer)
    seen += static_cast<uint64_t>(hparams.IsWindowLayer(layer) ? std::min(positions, hparams.window)
                                                               : positions);
  return seen * layout.page_bytes() / kPagePositions;
}

}  // namespace slm::engine
