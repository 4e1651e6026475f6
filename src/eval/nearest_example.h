// The example whose text is nearest to another: what a trained model has to beat.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace slm::eval {

class NearestExample {
 public:
  // Not empty.
  explicit NearestExample(const std::vector<std::string>& texts);

  // The index of the text with the greatest cosine of TF-IDF, over words and their pieces of three
  // characters (Salton and Buckley 1988: 1 + log tf, 1 + log((1 + n) / (1 + df))); the first among
  // equals.
  size_t Find(std::string_view text) const;

 private:
  using Features = std::unordered_map<std::string, double>;
  // Weighed and of length 1.
  Features Weigh(std::string_view text) const;

  std::unordered_map<std::string, double> idf_;
  std::unordered_map<std::string, std::vector<std::pair<size_t, double>>> index_;
  size_t count_;
};

}  // namespace slm::eval
