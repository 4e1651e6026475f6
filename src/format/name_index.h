// Lookup by name in a list from an untrusted file: a sorted index rather than a hash table, because
// nobody can make its look-ups slow by choosing the names.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string_view>
#include <vector>

namespace slm::format {

// Positions in `items`, sorted by name_of(item), equal names by position.
template <class Item, class NameOf>
std::vector<uint32_t> SortByName(const std::vector<Item>& items, NameOf name_of) {
  std::vector<uint32_t> index(items.size());
  std::iota(index.begin(), index.end(), 0u);
  std::stable_sort(index.begin(), index.end(),
                   [&](uint32_t a, uint32_t b) { return name_of(items[a]) < name_of(items[b]); });
  return index;
}

// The position of the second item of some name, when there is one.
template <class Item, class NameOf>
std::optional<uint32_t> FindDuplicate(const std::vector<uint32_t>& index,
                                      const std::vector<Item>& items, NameOf name_of) {
  for (size_t i = 1; i < index.size(); ++i) {
    if (name_of(items[index[i - 1]]) == name_of(items[index[i]])) return index[i];
  }
  return std::nullopt;
}

template <class Item, class NameOf>
const Item* FindByName(const std::vector<uint32_t>& index, const std::vector<Item>& items,
                       std::string_view name, NameOf name_of) {
  const auto at = std::lower_bound(
      index.begin(), index.end(), name,
      [&](uint32_t i, std::string_view wanted) { return name_of(items[i]) < wanted; });
  if (at == index.end() || name_of(items[*at]) != name) return nullptr;
  return &items[*at];
}

}  // namespace slm::format
