// Attention of one layer at a depth, in the order in which ops/cpu/cpu_attention.cpp goes through
// its pages: for one token, over caches of so many layers that no cache of the CPU holds them; and
// for the query rows of a prompt that share a page, over one KV head, which the second cache holds.
#include <cstring>
#include <limits>
#include <memory>
#include <random>

#include "base/aligned_buffer.h"
#include "kernel_cases/cases.h"
#include "kernel_cases/peaks.h"
#include "ops/kv_layout.h"
#include "support/blocks.h"

namespace slm::bench {
namespace {

using kernels::KernelTable;
using kernels::kPagePositions;

constexpr int64_t kDepth = 4096, kPages = kDepth / kPagePositions;
constexpr int64_t kPromptRows = 32;  // that share a page

struct Shape {
  int64_t kv_heads, group, head_dim;
};
// Of Llama 3.2 1B, Llama 3.1 8B, Qwen2.5 7B, TinyLlama.
constexpr Shape kShapes[] = {{8, 4, 64}, {8, 4, 128}, {4, 7, 128}, {4, 8, 64}};

class Layers {
 public:
  Layers(const KernelTable& table, kernels::KvType type, const Shape& shape, int64_t rows)
      : layout_{type, type, shape.kv_heads, shape.head_dim},
        layer_bytes_(layout_.page_bytes() * kPages),
        count_(static_cast<int64_t>(MemorySize() / layer_bytes_) + 1),
        pages_(layer_bytes_ * static_cast<size_t>(count_)),
        rows_(rows),
        begin_(static_cast<size_t>(rows), 0),
        end_(static_cast<size_t>(rows), kPagePositions) {
    std::mt19937 rng(4);
    const auto dim = static_cast<size_t>(shape.head_dim);
    const size_t all = dim * static_cast<size_t>(rows * layout_.kv_heads);
    q_ = testing::RandomFloats(all, rng, 0.2f);
    out_.resize(all);
    parts_.resize(all * kPages);
    max_.resize(parts_.size() / dim);
    sum_.resize(parts_.size() / dim);
    for (int64_t p = 0; p < kPages; ++p)
      for (int64_t h = 0; h < layout_.kv_heads; ++h) {
        const std::vector<float> x = testing::RandomFloats(2 * dim, rng);
        for (int i = 0; i < kPagePositions; ++i) {
          // The same numbers, turned: making all of them would take longer than the benchmark.
          std::vector<float> turned(x.begin() + i % static_cast<int>(dim), x.end());
          turned.insert(turned.end(), x.begin(), x.end());
          table.store_kv(turned.data(), turned.data() + dim, shape.head_dim, i, Head(0, p, h));
        }
      }
    for (int64_t layer = 1; layer < count_; ++layer)
      std::memcpy(pages_.data() + static_cast<size_t>(layer) * layer_bytes_, pages_.data(),
                  layer_bytes_);
  }

  int64_t count() const { return count_; }
  double layer_bytes() const { return static_cast<double>(layer_bytes_); }
  std::vector<uint8_t> Out() const {
    const auto* bytes = reinterpret_cast<const uint8_t*>(out_.data());
    return {bytes, bytes + out_.size() * sizeof(float)};
  }

  // All KV heads [0, heads) of a layer, for `rows` query rows each.
  void Run(const KernelTable& table, int64_t layer, int64_t heads) {
    const int64_t dim = layout_.head_dim, all = heads * rows_;
    for (int64_t p = 0; p < kPages; ++p)
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t part = p * all + h * rows_;
        table.attention({.page = Head(layer, p, h),
                         .head_dim = dim,
                         .q = q_.data() + h * rows_ * dim,
                         .q_stride = dim,
                         .heads = static_cast<int>(rows_),
                         .begin = begin_.data(),
                         .end = end_.data(),
                         .softcap = 0,
                         .out = parts_.data() + part * dim,
                         .out_stride = dim,
                         .max = max_.data() + part,
                         .sum = sum_.data() + part});
      }
    for (int64_t row = 0; row < all; ++row) {
      float* out = out_.data() + row * dim;
      float max = -std::numeric_limits<float>::infinity(), sum = 0;
      std::memset(out, 0, static_cast<size_t>(dim) * sizeof(float));
      table.attention_merge({parts_.data() + row * dim, &max_[static_cast<size_t>(row)],
                             &sum_[static_cast<size_t>(row)], all, static_cast<int>(kPages)},
                            dim, out, &max, &sum);
      table.scale(1.0f / sum, dim, out);
    }
  }

 private:
  kernels::KvPage Head(int64_t layer, int64_t page, int64_t head) const {
    return layout_.Head(pages_.data() + static_cast<size_t>(layer) * layer_bytes_ +
                            static_cast<size_t>(page) * layout_.page_bytes(),
                        head);
  }

  ops::KvLayout layout_;
  size_t layer_bytes_;
  int64_t count_;
  AlignedBuffer pages_;
  int64_t rows_;  // query rows of a KV head
  std::vector<int> begin_, end_;
  std::vector<float> q_, parts_, max_, sum_, out_;
};

Case MakeCase(const KernelTable& table, kernels::KvType type, const Shape& shape, bool is_prompt) {
  const int64_t rows = is_prompt ? kPromptRows : shape.group;
  const int64_t heads = is_prompt ? 1 : shape.kv_heads;
  const auto layers = std::make_shared<Layers>(table, type, shape, rows);
  const auto once = [&](const KernelTable& which) {
    layers->Run(which, 0, heads);
    return layers->Out();
  };
  Case made;
  made.work[kF32] = 2.0 * static_cast<double>(heads * rows * kDepth * shape.head_dim);
  if (!is_prompt) made.work[kMemory] = layers->layer_bytes();
  made.got = once(table);
  made.expected = once(*kernels::AvailableTables()[1]);
  made.run = [&table, layers, heads, is_prompt, next = int64_t{0}]() mutable {
    layers->Run(table, next, heads);
    if (!is_prompt) next = (next + 1) % layers->count();
  };
  return made;
}

}  // namespace

std::vector<NamedCase> AttentionCases() {
  const std::pair<const char*, kernels::KvType> types[] = {{"f32", kernels::KvType::kF32},
                                                           {"f16", kernels::KvType::kF16},
                                                           {"q8_0", kernels::KvType::kQ8_0}};
  std::vector<NamedCase> cases;
  for (const bool is_prompt : {false, true})
    for (const auto& [name, type] : types)
      for (const Shape& shape : kShapes) {
        std::string group = "/group:" + std::to_string(shape.group);
        if (is_prompt) {  // as many rows whatever the group
          if (shape.group != kShapes[0].group) continue;
          group = "";
        }
        cases.push_back({std::string("attention/") + (is_prompt ? "prefill/" : "decode/") + name +
                             "/dim:" + std::to_string(shape.head_dim) + group +
                             "/depth:" + std::to_string(kDepth),
                         [type = type, shape, is_prompt](const KernelTable& table) {
                           return MakeCase(table, type, shape, is_prompt);
                         }});
      }
  return cases;
}

}  // namespace slm::bench
