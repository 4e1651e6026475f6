// The bytes of every token, and the two hash tables that merging looks things up in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slm::text {

// The longest token accepted, in bytes. Published vocabularies stay below 256; the limit bounds the
// work that a hostile one can ask for.
inline constexpr size_t kMaxTokenBytes = 1024;

// Bytes by id, and for the tokens that text can merge into, id by bytes.
class TokenTable {
 public:
  // Appends the token with the next id. Throws Error kBadInput when it is longer than
  // kMaxTokenBytes.
  void Add(std::string_view bytes);

  size_t size() const { return ends_.size(); }
  std::string_view Bytes(int32_t id) const {
    const auto i = static_cast<size_t>(id);
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return {arena_.data() + begin, ends_[i] - begin};
  }

  // Makes these tokens findable; of equal ones the first stays. No Add after this.
  void Index(std::span<const int32_t> ids);

  // -1 when no indexed token has these bytes.
  int32_t Find(std::string_view bytes) const;

  size_t max_indexed_bytes() const { return max_indexed_bytes_; }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t id = -1;
  };
  Slot* FindSlot(std::string_view bytes, uint64_t hash) const;

  std::string arena_;
  std::vector<size_t> ends_;
  std::vector<Slot> slots_;
  size_t max_indexed_bytes_ = 0;
};

struct Merge {
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t rank = kNone;  // lower merges first
  int32_t id = -1;        // of the merged token
};

// What two tokens merge into.
class PairTable {
 public:
  explicit PairTable(size_t num_pairs);

  // The first of equal pairs stays. At most `num_pairs` times.
  void Add(int32_t left, int32_t right, Merge merge);

  Merge Find(int32_t left, int32_t right) const {
    const uint64_t key = Key(left, right);
    size_t i = Start(key);
    while (slots_[i].merge.rank != Merge::kNone && slots_[i].key != key) i = (i + 1) & mask_;
    return slots_[i].merge;
  }

 private:
  struct Slot {
    uint64_t key = 0;
    Merge merge;
  };
  static uint64_t Key(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  size_t Start(uint64_t key) const {
    const uint64_t hash = (key ^ key >> 29) * 0x9e3779b97f4a7c15u;
    return static_cast<size_t>(hash >> 32) & mask_;
  }

  std::vector<Slot> slots_;
  size_t mask_;
};

}  // namespace slm::text
