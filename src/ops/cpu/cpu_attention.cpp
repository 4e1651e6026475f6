#include "ops/cpu/cpu_attention.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/thread_pool.h"

namespace slm::ops {
namespace {

using kernels::kPagePositions;

constexpr int64_t kRowsPerChunk = 32;         // query rows (tokens x heads of a group), about, that
                                              // share a page's loads; kernels take 4 to 8 at once
constexpr int64_t kFloatsPerMerge = 1 << 15;  // partial results that stay in the L2 cache
constexpr int64_t kFewTokens = 8;       // up to this many, pages are shared out instead of queries
constexpr int64_t kPartsPerThread = 8;  // that are shared out, at least
constexpr int64_t kPagesPerWave = 256;  // bounds the memory of partial results

// The first position that the token at `position` sees.
int64_t FirstSeen(const AttentionOp& op, int64_t position) {
  return op.window > 0 ? std::max<int64_t>(0, position - op.window + 1) : 0;
}

// The query rows of tokens t0..t0 + count for one KV head's group, one after the other.
void Gather(const AttentionOp& op, int64_t kv_head, int64_t t0, int64_t count, float* to) {
  const int64_t row = op.heads / op.layout.kv_heads * op.layout.head_dim;
  for (int64_t t = t0; t < t0 + count; ++t, to += row)
    std::copy_n(op.q + t * op.q_stride + kv_head * row, row, to);
}

}  // namespace

CpuAttention::CpuAttention(const kernels::KernelTable& kernels, ThreadPool* pool)
    : kernels_(kernels), pool_(pool), scratch_(static_cast<size_t>(pool->threads())) {}

void CpuAttention::Rows::Resize(int64_t rows, int64_t head_dim) {
  const auto n = static_cast<size_t>(rows);
  if (out.size() < n * static_cast<size_t>(head_dim)) out.resize(n * static_cast<size_t>(head_dim));
  if (max.size() < n) max.resize(n), sum.resize(n);
}

kernels::AttentionParts CpuAttention::Rows::Parts(int64_t first, int64_t stride, int64_t count,
                                                  int64_t head_dim) const {
  const auto at = static_cast<size_t>(first);
  return {&out[at * static_cast<size_t>(head_dim)], &max[at], &sum[at], stride,
          static_cast<int>(count)};
}

void CpuAttention::Run(const AttentionOp& op) {
  if (op.rows <= kFewTokens)
    ByPages(op);
  else
    ByQueries(op);
}

void CpuAttention::Page(const AttentionOp& op, const float* q, int64_t kv_head, int64_t t0,
                        int64_t count, int64_t page, Scratch* scratch, Rows* to,
                        int64_t to_row) const {
  const int64_t group = op.heads / op.layout.kv_heads, dim = op.layout.head_dim;
  const int64_t start = page * kPagePositions, rows = count * group;
  scratch->begin.clear();
  scratch->end.clear();
  for (int64_t t = t0; t < t0 + count; ++t) {
    const int64_t position = op.position + t;
    const int64_t begin = std::clamp<int64_t>(FirstSeen(op, position) - start, 0, kPagePositions);
    const int64_t end = std::clamp<int64_t>(position + 1 - start, 0, kPagePositions);
    scratch->begin.insert(scratch->begin.end(), static_cast<size_t>(group),
                          static_cast<int>(begin));
    scratch->end.insert(scratch->end.end(), static_cast<size_t>(group), static_cast<int>(end));
  }
  // Rows see a page from a first one on (the causal edge) or up to a last one (the window's): both
  // ends may be blind.
  int64_t first = 0, last = rows;
  const auto blind = [&](int64_t r) {
    return scratch->begin[static_cast<size_t>(r)] >= scratch->end[static_cast<size_t>(r)];
  };
  while (first < last && blind(first)) ++first;
  while (last > first && blind(last - 1)) --last;
  for (int64_t r = 0; r < rows; ++r)
    to->sum[static_cast<size_t>(to_row + r)] = -1;  // marks a row that saw nothing
  if (first == last) return;
  kernels::AttentionArgs args = {};
  args.page = op.layout.Head(op.pages[static_cast<size_t>(page)], kv_head);
  args.head_dim = dim;
  args.q = q + first * dim;
  args.q_stride = dim;
  args.heads = static_cast<int>(last - first);
  args.begin = &scratch->begin[static_cast<size_t>(first)];
  args.end = &scratch->end[static_cast<size_t>(first)];
  args.softcap = op.softcap;
  args.out = &to->out[static_cast<size_t>((to_row + first) * dim)];
  args.out_stride = dim;
  args.max = &to->max[static_cast<size_t>(to_row + first)];
  args.sum = &to->sum[static_cast<size_t>(to_row + first)];
  kernels_.attention(args);
}

namespace {

// The running results of one query row; pages are folded in from left to right.
struct Merger {
  const kernels::KernelTable& kernels;
  int64_t dim;
  float* out;
  float max = -std::numeric_limits<float>::infinity();
  float sum = 0;

  void Start() { std::memset(out, 0, static_cast<size_t>(dim) * sizeof(float)); }
  void Add(const kernels::AttentionParts& parts) {
    kernels.attention_merge(parts, dim, out, &max, &sum);
  }
  void Finish() { kernels.scale(1.0f / sum, dim, out); }
};

}  // namespace

void CpuAttention::ByQueries(const AttentionOp& op) {
  const int64_t kv_heads = op.layout.kv_heads, group = op.heads / kv_heads;
  const int64_t dim = op.layout.head_dim;
  const int64_t tokens = std::max<int64_t>(8, (kRowsPerChunk / group + 7) / 8 * 8);
  const int64_t blocks = (op.rows + tokens - 1) / tokens;
  pool_->ParallelFor(blocks * kv_heads, [&](int64_t chunk, int thread) {
    Scratch& scratch = scratch_[static_cast<size_t>(thread)];
    // The last queries see the most: start with them.
    const int64_t block = blocks - 1 - chunk / kv_heads, kv_head = chunk % kv_heads;
    const int64_t t0 = block * tokens, count = std::min(tokens, op.rows - t0);
    const int64_t rows = count * group;
    const int64_t at_once = std::clamp<int64_t>(kFloatsPerMerge / (rows * dim), 1, 8);
    scratch.page.Resize(at_once * rows, dim);
    scratch.queries.resize(static_cast<size_t>(rows * dim));
    Gather(op, kv_head, t0, count, scratch.queries.data());
    std::vector<Merger> mergers;
    mergers.reserve(static_cast<size_t>(rows));
    for (int64_t r = 0; r < rows; ++r) {
      float* out = op.out + (t0 + r / group) * op.out_stride + (kv_head * group + r % group) * dim;
      mergers.push_back({kernels_, dim, out});
      mergers.back().Start();
    }
    const int64_t first = FirstSeen(op, op.position + t0) / kPagePositions;
    const int64_t last = (op.position + t0 + count - 1) / kPagePositions;
    for (int64_t page = first; page <= last; page += at_once) {
      const int64_t pages = std::min(at_once, last + 1 - page);
      for (int64_t i = 0; i < pages; ++i)
        Page(op, scratch.queries.data(), kv_head, t0, count, page + i, &scratch, &scratch.page,
             i * rows);
      for (int64_t r = 0; r < rows; ++r)
        mergers[static_cast<size_t>(r)].Add(scratch.page.Parts(r, rows, pages, dim));
    }
    for (Merger& merger : mergers) merger.Finish();
  });
}

void CpuAttention::ByPages(const AttentionOp& op) {
  const int64_t kv_heads = op.layout.kv_heads, group = op.heads / kv_heads;
  const int64_t dim = op.layout.head_dim, rows = op.rows * group;
  std::vector<Merger> mergers;
  mergers.reserve(static_cast<size_t>(kv_heads * rows));
  queries_.resize(static_cast<size_t>(kv_heads * rows * dim));
  const auto queries = [&](int64_t h) { return queries_.data() + h * rows * dim; };
  for (int64_t h = 0; h < kv_heads; ++h) {
    Gather(op, h, 0, op.rows, queries(h));
    for (int64_t r = 0; r < rows; ++r) {
      float* out = op.out + r / group * op.out_stride + (h * group + r % group) * dim;
      mergers.push_back({kernels_, dim, out});
      mergers.back().Start();
    }
  }
  const int64_t first = FirstSeen(op, op.position) / kPagePositions;
  const int64_t last = (op.position + op.rows - 1) / kPagePositions;
  for (int64_t wave = first; wave <= last; wave += kPagesPerWave) {
    const int64_t pages = std::min(kPagesPerWave, last + 1 - wave);
    partial_.Resize(pages * kv_heads * rows, dim);
    // Heads of a page lie one after the other: as many together as leaves all threads busy.
    const int64_t parts = pages * kv_heads;
    const int64_t together =
        std::clamp<int64_t>(parts / (kPartsPerThread * pool_->threads()), 1, kv_heads);
    pool_->ParallelFor((parts + together - 1) / together, [&](int64_t chunk, int thread) {
      for (int64_t i = chunk * together; i < std::min(parts, (chunk + 1) * together); ++i)
        Page(op, queries(i % kv_heads), i % kv_heads, 0, op.rows, wave + i / kv_heads,
             &scratch_[static_cast<size_t>(thread)], &partial_, i * rows);
    });
    pool_->ParallelFor(kv_heads * rows, [&](int64_t row, int) {
      mergers[static_cast<size_t>(row)].Add(partial_.Parts(row, kv_heads * rows, pages, dim));
    });
  }
  for (Merger& merger : mergers) merger.Finish();
}

}  // namespace slm::ops
