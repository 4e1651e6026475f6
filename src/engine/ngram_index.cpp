#include "engine/ngram_index.h"

#include <algorithm>
#include <utility>

namespace slm::engine {
namespace {

uint64_t PairAt(std::span<const int32_t> tokens, size_t second) {
  return uint64_t{static_cast<uint32_t>(tokens[second - 1])} << 32 |
         static_cast<uint32_t>(tokens[second]);
}

}  // namespace

NgramIndex::Match NgramIndex::Find(std::span<const int32_t> tokens) {
  if (earlier_.empty()) earlier_.push_back(-1);  // position 0 ends no pair
  while (earlier_.size() < tokens.size()) {
    const auto at = static_cast<int32_t>(earlier_.size());
    const auto [entry, is_new] = latest_.try_emplace(PairAt(tokens, earlier_.size()), at);
    earlier_.push_back(is_new ? -1 : std::exchange(entry->second, at));
  }
  Match best;
  if (tokens.size() < 2) return best;
  const auto last = static_cast<int64_t>(tokens.size()) - 1;
  int64_t at = earlier_.back();
  for (int tried = 0; at >= 0 && tried < kCandidates && best.length < kLongest; ++tried) {
    int64_t length = kShortest;
    const int64_t most = std::min(kLongest, at + 1);
    while (length < most &&
           tokens[static_cast<size_t>(at - length)] == tokens[static_cast<size_t>(last - length)])
      ++length;
    if (length > best.length) best = {length, at + 1};
    at = earlier_[static_cast<size_t>(at)];
  }
  return best;
}

}  // namespace slm::engine
