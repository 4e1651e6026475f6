#include "text/token_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace slm::text {
namespace {

uint64_t Mix(uint64_t h) {
  h *= 0x9e3779b97f4a7c15u;
  return h ^ h >> 32;
}

uint64_t Hash(std::string_view bytes) {
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint64_t h = n;
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = Mix(h ^ word);
  }
  uint64_t word = 0;
  for (size_t i = 0; i < n; ++i) word |= uint64_t{static_cast<uint8_t>(p[i])} << (8 * i);
  return Mix(Mix(h ^ word));
}

}  // namespace

void TokenTable::Add(std::string_view bytes) {
  if (bytes.size() > kMaxTokenBytes) {
    throw Error(Code::kBadInput, "vocabulary: token {} has {} bytes; at most {} are supported",
                ends_.size(), bytes.size(), kMaxTokenBytes);
  }
  arena_.append(bytes);
  ends_.push_back(arena_.size());
}

TokenTable::Slot* TokenTable::FindSlot(std::string_view bytes, uint64_t hash) const {
  const size_t mask = slots_.size() - 1;
  const auto tag = static_cast<uint32_t>(hash >> 32);
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.id < 0 || (slot.tag == tag && Bytes(slot.id) == bytes))
      return const_cast<Slot*>(&slot);
  }
}

void TokenTable::Index(std::span<const int32_t> ids) {
  slots_.assign(std::bit_ceil(ids.size() * 2 + 2), Slot());
  for (const int32_t id : ids) {
    const uint64_t hash = Hash(Bytes(id));
    Slot* slot = FindSlot(Bytes(id), hash);
    if (slot->id >= 0) continue;
    *slot = {static_cast<uint32_t>(hash >> 32), id};
    max_indexed_bytes_ = std::max(max_indexed_bytes_, Bytes(id).size());
  }
}

int32_t TokenTable::Find(std::string_view bytes) const {
  if (bytes.size() > max_indexed_bytes_) return -1;
  return FindSlot(bytes, Hash(bytes))->id;
}

PairTable::PairTable(size_t num_pairs)
    : slots_(std::bit_ceil(num_pairs * 3 / 2 + 2)), mask_(slots_.size() - 1) {}

void PairTable::Add(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = Key(left, right);
  size_t i = Start(key);
  for (; slots_[i].merge.rank != Merge::kNone; i = (i + 1) & mask_) {
    if (slots_[i].key == key) return;
  }
  slots_[i] = {key, merge};
}

}  // namespace slm::text
