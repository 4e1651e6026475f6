// The loop that both kinds of BPE share: of all neighbours that can merge, merge the pair with the
// lowest rank, the leftmost of equal ones, until none is left.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "text/token_table.h"

namespace slm::text {

// A part of a piece: the bytes [begin, end) and their token, -1 when they are none.
struct Symbol {
  uint32_t begin;
  uint32_t end;
  int32_t id;
};

namespace internal {

inline constexpr size_t kShortPiece = 64;

// Quadratic, but fastest for words.
template <class FindMerge>
void MergeShort(std::vector<Symbol>* symbols, const FindMerge& find) {
  std::array<Merge, kShortPiece> merges;  // merges[i] joins symbols i and i + 1
  Symbol* const s = symbols->data();
  size_t n = symbols->size();
  for (size_t i = 0; i + 1 < n; ++i) merges[i] = find(s[i], s[i + 1]);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == Merge::kNone) break;
    s[best].id = merges[best].id;
    s[best].end = s[best + 1].end;
    for (size_t i = best + 1; i + 1 < n; ++i) s[i] = s[i + 1];
    for (size_t i = best + 1; i + 2 < n; ++i) merges[i] = merges[i + 1];
    --n;
    if (best + 1 < n) merges[best] = find(s[best], s[best + 1]);
    if (best > 0) merges[best - 1] = find(s[best - 1], s[best]);
  }
  symbols->resize(n);
}

// With a heap: n log n for a piece of any length.
template <class FindMerge>
void MergeLong(std::vector<Symbol>* symbols, const FindMerge& find) {
  constexpr uint32_t kNil = UINT32_MAX;
  struct Node {
    uint32_t prev;
    uint32_t next;
    Merge merge;  // with the next one
  };
  std::vector<Symbol>& s = *symbols;
  const auto n = static_cast<uint32_t>(s.size());
  std::vector<Node> nodes(n);
  std::vector<uint64_t> waiting;  // rank, then position
  for (uint32_t i = 0; i < n; ++i) {
    nodes[i] = {i == 0 ? kNil : i - 1, i + 1 == n ? kNil : i + 1, {}};
    if (i + 1 < n) nodes[i].merge = find(s[i], s[i + 1]);
    if (nodes[i].merge.rank != Merge::kNone)
      waiting.push_back(uint64_t{nodes[i].merge.rank} << 32 | i);
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> queue(std::greater<>(),
                                                                             std::move(waiting));
  const auto update = [&](uint32_t i) {
    nodes[i].merge = nodes[i].next == kNil ? Merge() : find(s[i], s[nodes[i].next]);
    if (nodes[i].merge.rank != Merge::kNone) queue.push(uint64_t{nodes[i].merge.rank} << 32 | i);
  };
  while (!queue.empty()) {
    const auto rank = static_cast<uint32_t>(queue.top() >> 32);
    const auto i = static_cast<uint32_t>(queue.top());
    queue.pop();
    if (nodes[i].merge.rank != rank) continue;  // this pair has changed since
    const uint32_t dead = nodes[i].next;
    s[i].id = nodes[i].merge.id;
    s[i].end = s[dead].end;
    nodes[i].next = nodes[dead].next;
    if (nodes[i].next != kNil) nodes[nodes[i].next].prev = i;
    nodes[dead].merge = Merge();
    update(i);
    if (nodes[i].prev != kNil) update(nodes[i].prev);
  }
  uint32_t count = 0;
  for (uint32_t i = 0; i != kNil && i < n; i = nodes[i].next) s[count++] = s[i];
  symbols->resize(count);
}

}  // namespace internal

// `find(left, right)` gives the Merge of two neighbours; it must depend on their bytes or ids only.
template <class FindMerge>
void MergeSymbols(std::vector<Symbol>* symbols, const FindMerge& find) {
  if (symbols->size() <= internal::kShortPiece) {
    internal::MergeShort(symbols, find);
  } else {
    internal::MergeLong(symbols, find);
  }
}

}  // namespace slm::text
