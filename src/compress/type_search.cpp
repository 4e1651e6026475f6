#include "compress/type_search.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/error.h"

namespace slm::compress {
namespace {

// Indexes of the options on the lower convex hull, by rising bytes and falling cost.
std::vector<size_t> Hull(const std::vector<TypeOption>& options) {
  std::vector<size_t> order(options.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const TypeOption &x = options[a], &y = options[b];
    return x.bytes != y.bytes ? x.bytes < y.bytes : x.cost < y.cost;
  });
  const auto slope = [&](size_t a, size_t b) {
    return (options[a].cost - options[b].cost) /
           static_cast<double>(options[b].bytes - options[a].bytes);
  };
  std::vector<size_t> hull;
  for (const size_t next : order) {
    if (!hull.empty() && options[next].cost >= options[hull.back()].cost) continue;
    while (hull.size() >= 2 &&
           slope(hull[hull.size() - 2], hull.back()) <= slope(hull.back(), next))
      hull.pop_back();
    hull.push_back(next);
  }
  return hull;
}

struct Upgrade {
  size_t tensor, from, to;
  double saved_per_byte;
};

TypeSearchResult Search(
    std::span<const std::vector<TypeOption>> tensors,
    const std::function<bool(const TypeSearchResult&)>& is_done,
    const std::function<bool(const TypeSearchResult&, uint64_t more)>& has_room) {
  TypeSearchResult result;
  std::vector<Upgrade> upgrades;
  for (size_t t = 0; t < tensors.size(); ++t) {
    SLM_CHECK(!tensors[t].empty());
    const std::vector<size_t> hull = Hull(tensors[t]);
    result.chosen.push_back(hull.front());
    result.bytes += tensors[t][hull.front()].bytes;
    result.cost += tensors[t][hull.front()].cost;
    for (size_t i = 1; i < hull.size(); ++i) {
      const TypeOption &from = tensors[t][hull[i - 1]], &to = tensors[t][hull[i]];
      upgrades.push_back({t, hull[i - 1], hull[i],
                          (from.cost - to.cost) / static_cast<double>(to.bytes - from.bytes)});
    }
  }
  // A tensor's own upgrades come in their order: its hull is convex.
  std::stable_sort(upgrades.begin(), upgrades.end(), [](const Upgrade& a, const Upgrade& b) {
    return a.saved_per_byte > b.saved_per_byte;
  });
  for (const Upgrade& upgrade : upgrades) {
    if (is_done(result)) break;
    if (result.chosen[upgrade.tensor] != upgrade.from) continue;  // one before it had no room
    const TypeOption &from = tensors[upgrade.tensor][upgrade.from],
                     &to = tensors[upgrade.tensor][upgrade.to];
    if (!has_room(result, to.bytes - from.bytes)) continue;
    result.chosen[upgrade.tensor] = upgrade.to;
    result.bytes += to.bytes - from.bytes;
    result.cost += to.cost - from.cost;
  }
  return result;
}

}  // namespace

TypeSearchResult ChooseWithinBytes(std::span<const std::vector<TypeOption>> tensors,
                                   uint64_t max_bytes) {
  return Search(
      tensors, [](const TypeSearchResult&) { return false; },
      [&](const TypeSearchResult& r, uint64_t more) { return r.bytes + more <= max_bytes; });
}

TypeSearchResult ChooseWithinCost(std::span<const std::vector<TypeOption>> tensors,
                                  double max_cost) {
  return Search(
      tensors, [&](const TypeSearchResult& r) { return r.cost <= max_cost; },
      [](const TypeSearchResult&, uint64_t) { return true; });
}

}  // namespace slm::compress
