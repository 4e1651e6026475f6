// Pages come when they are needed, go behind the window, and stay where a mark needs them.
#include "engine/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace slm::engine {
namespace {

model::Hparams Shape(int64_t window) {
  model::Hparams h;
  h.layers = 3;
  h.kv_heads = 2;
  h.head_dim = 32;
  h.window = window;
  h.window_period = 3;  // layer 2 sees everything
  return h;
}

KvCache MakeCache(const model::Hparams& h) {
  return KvCache(h, kernels::KvType::kF16, kernels::KvType::kF16);
}

void Fill(KvCache* cache, int64_t count) {
  while (count > 0) {
    const int64_t piece = std::min(count, KvCache::kReservedAtOnce);
    cache->Reserve(piece);
    cache->Advance(piece);
    count -= piece;
  }
}

int64_t Held(const KvCache& cache, int64_t layer) {
  const auto pages = cache.Pages(layer);
  return std::count_if(pages.begin(), pages.end(), [](const uint8_t* page) { return page; });
}

TEST(KvCache, TakesPagesAsTheyAreNeeded) {
  KvCache cache = MakeCache(Shape(0));
  EXPECT_EQ(cache.Pages(0).size(), 0u);
  Fill(&cache, 64);
  EXPECT_EQ(cache.Pages(0).size(), 1u);
  Fill(&cache, 1);
  EXPECT_EQ(cache.Pages(2).size(), 2u);
  EXPECT_EQ(cache.length(), 65);
  EXPECT_EQ(cache.CutBack(10), 10);
  EXPECT_EQ(cache.Pages(0).size(), 1u);
  EXPECT_EQ(cache.CutBack(100), 10);
}

TEST(KvCache, WindowLayersDropWhatNoPositionSees) {
  const model::Hparams h = Shape(128);
  KvCache cache = MakeCache(h);
  Fill(&cache, 5000);
  EXPECT_EQ(Held(cache, 2), 79);
  EXPECT_LE(Held(cache, 0), 12);
  EXPECT_EQ(cache.CutBack(4900), 4900);  // a little back: still there
  EXPECT_EQ(cache.CutBack(2000), 0);     // far: nothing to go on from
}

TEST(KvCache, GoesBackToMarks) {
  KvCache cache = MakeCache(Shape(128));
  Fill(&cache, 1000);
  cache.Mark();
  Fill(&cache, 4000);
  cache.Mark();
  EXPECT_EQ(cache.CutBack(1500), 1000);
  EXPECT_NE(cache.Pages(0)[15], nullptr);
  Fill(&cache, 4000);
  EXPECT_EQ(cache.CutBack(1200), 1000);  // twice
  EXPECT_EQ(cache.CutBack(990), 990);  // from a mark, a little further: no page in between is gone
}

TEST(KvCache, MarksAreBounded) {
  const model::Hparams h = Shape(128);
  KvCache cache = MakeCache(h);
  for (int turn = 0; turn < 50; ++turn) {
    Fill(&cache, 300);
    cache.Mark();
  }
  // The last few turns are there, the first are not.
  EXPECT_EQ(cache.CutBack(49 * 300 - 250), 48 * 300);
  EXPECT_EQ(cache.CutBack(20 * 300), 0);
}

TEST(KvCache, BytesForIsEnough) {
  for (const int64_t window : {0, 128, 1000}) {
    const model::Hparams h = Shape(window);
    KvCache cache = MakeCache(h);
    int64_t most = 0;
    for (int turn = 0; turn < 30; ++turn) {
      Fill(&cache, 350);
      cache.Mark();
      int64_t pages = 0;
      for (int64_t layer = 0; layer < h.layers; ++layer) pages += Held(cache, layer);
      most = std::max(most, pages);
    }
    const uint64_t bytes =
        KvCache::BytesFor(h, kernels::KvType::kF16, kernels::KvType::kF16, cache.length());
    EXPECT_GE(bytes, static_cast<uint64_t>(most) * cache.layout().page_bytes()) << window;
  }
}

// Pages of several slabs, and pages that are larger than one.
TEST(KvCache, PagesAreApartAndAligned) {
  for (const int64_t head_dim : {200, 20000}) {
    model::Hparams h = Shape(0);
    h.kv_heads = 4;
    h.head_dim = head_dim;
    KvCache cache = MakeCache(h);
    const size_t bytes = cache.layout().page_bytes();
    const auto pages = [&] {
      std::vector<uint8_t*> all;
      for (int64_t layer = 0; layer < h.layers; ++layer)
        all.insert(all.end(), cache.Pages(layer).begin(), cache.Pages(layer).end());
      std::sort(all.begin(), all.end());
      return all;
    };
    Fill(&cache, head_dim == 200 ? 4000 : 100);
    ASSERT_GT(pages().size() * bytes, size_t{32} << 20);
    for (const bool is_again : {false, true}) {
      const std::vector<uint8_t*> all = pages();
      for (size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(reinterpret_cast<uintptr_t>(all[i]) % 64, 0u);
        if (i > 0) {
          EXPECT_GE(all[i], all[i - 1] + bytes) << i;
        }
        all[i][0] = all[i][bytes - 1] = 1;
      }
      if (is_again) break;
      const int64_t length = cache.length();
      cache.CutBack(1);
      Fill(&cache, length - 1);
      EXPECT_EQ(pages(), all);  // the same ones, in whatever order
    }
    cache = MakeCache(h);
    EXPECT_EQ(cache.length(), 0);
  }
}

}  // namespace
}  // namespace slm::engine
