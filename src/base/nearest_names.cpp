#include "base/nearest_names.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace slm {
namespace {

constexpr size_t kMaxComparedBytes = 256;  // of a name, for the edit distance

size_t EditDistance(std::string_view a, std::string_view b) {
  a = a.substr(0, kMaxComparedBytes);
  b = b.substr(0, kMaxComparedBytes);
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, diagonal + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

std::string UpperCase(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return result;
}

std::vector<std::string> NearestNames(const std::string& name,
                                      const std::vector<std::string>& names, size_t limit) {
  const std::string wanted = UpperCase(name);
  std::vector<std::pair<size_t, std::string>> scored;
  for (const std::string& candidate : names) {
    const std::string text = UpperCase(candidate);
    // A part of the name is nearer than any misspelling.
    const bool is_part = !wanted.empty() && text.find(wanted) != std::string::npos;
    scored.emplace_back(is_part ? 0 : 1 + EditDistance(wanted, text), candidate);
  }
  std::sort(scored.begin(), scored.end());
  std::vector<std::string> result;
  for (const auto& [score, candidate] : scored) {
    if (result.size() == limit) break;
    result.push_back(candidate);
  }
  return result;
}

}  // namespace slm
