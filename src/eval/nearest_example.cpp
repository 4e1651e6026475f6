#include "eval/nearest_example.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace slm::eval {
namespace {

bool IsOfWord(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c & 0x80) != 0;
}

// f(feature) for every word, and for every piece of it with its borders.
template <class F>
void ForFeatures(std::string_view text, const F& f) {
  std::string word = "<";
  const auto finish = [&] {
    if (word.size() > 1) {
      word += '>';
      f(word);
      for (size_t i = 0; i + 3 <= word.size(); ++i) f(word.substr(i, 3));
    }
    word = "<";
  };
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (IsOfWord(c))
      word += c;
    else
      finish();
  }
  finish();
}

}  // namespace

NearestExample::NearestExample(const std::vector<std::string>& texts) : count_(texts.size()) {
  SLM_CHECK(!texts.empty());
  for (const std::string& text : texts) {
    Features seen;
    ForFeatures(text, [&](const std::string& feature) { seen[feature] = 1; });
    for (const auto& [feature, one] : seen) idf_[feature] += one;
  }
  for (auto& [feature, value] : idf_)
    value = std::log((1 + static_cast<double>(texts.size())) / (1 + value)) + 1;
  for (size_t i = 0; i < texts.size(); ++i)
    for (const auto& [feature, weight] : Weigh(texts[i])) index_[feature].push_back({i, weight});
}

NearestExample::Features NearestExample::Weigh(std::string_view text) const {
  Features counts;
  ForFeatures(text, [&](const std::string& feature) {
    if (idf_.contains(feature)) counts[feature] += 1;
  });
  double squares = 0;
  for (auto& [feature, value] : counts) {
    value = (1 + std::log(value)) * idf_.at(feature);
    squares += value * value;
  }
  for (auto& [feature, value] : counts) value /= std::sqrt(squares);
  return counts;
}

size_t NearestExample::Find(std::string_view text) const {
  std::vector<double> cosines(count_);
  for (const auto& [feature, weight] : Weigh(text))
    for (const auto& [i, of_example] : index_.at(feature)) cosines[i] += weight * of_example;
  // Sums in another order differ in their last bits.
  size_t best = 0;
  for (size_t i = 1; i < count_; ++i)
    if (cosines[i] > cosines[best] + 1e-12) best = i;
  return best;
}

}  // namespace slm::eval
