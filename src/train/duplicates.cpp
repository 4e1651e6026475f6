#include "train/duplicates.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <map>
#include <unordered_map>

#include "base/hash.h"
#include "base/random.h"

namespace slm::train {
namespace {

constexpr size_t kWords = 3;
constexpr double kSimilar = 0.8;
constexpr size_t kBands = 32, kRows = 4;  // of the signature
using Shingles = std::vector<uint64_t>;   // ascending, each once
// What more texts have, and more than this share of them, is their form, such as an instruction.
constexpr size_t kFormTexts = 20;
constexpr double kFormShare = 0.05;

// Bytes above ASCII belong to words.
std::vector<std::string> WordsOf(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalnum(byte))
      words.back() += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

Shingles ShinglesOf(const std::string& text) {
  const std::vector<std::string> words = WordsOf(text);
  Shingles shingles;
  for (size_t i = 0; i == 0 || i + kWords <= words.size(); ++i) {
    uint64_t hash = 0;
    for (size_t w = i; w < std::min(words.size(), i + kWords); ++w)
      hash = Hash64({reinterpret_cast<const uint8_t*>(words[w].data()), words[w].size()}, hash);
    shingles.push_back(hash);
  }
  std::sort(shingles.begin(), shingles.end());
  shingles.erase(std::unique(shingles.begin(), shingles.end()), shingles.end());
  return shingles;
}

// A text of nothing but form keeps it.
void RemoveForm(std::vector<Shingles>* texts) {
  std::unordered_map<uint64_t, size_t> counts;
  for (const Shingles& shingles : *texts)
    for (const uint64_t shingle : shingles) ++counts[shingle];
  const size_t most =
      std::max(kFormTexts, static_cast<size_t>(kFormShare * static_cast<double>(texts->size())));
  for (Shingles& shingles : *texts) {
    Shingles own;
    for (const uint64_t shingle : shingles)
      if (counts.at(shingle) <= most) own.push_back(shingle);
    if (!own.empty()) shingles = std::move(own);
  }
}

double Similarity(const Shingles& a, const Shingles& b) {
  Shingles both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return static_cast<double>(both.size()) / static_cast<double>(a.size() + b.size() - both.size());
}

std::array<uint64_t, kBands> BandsOf(const Shingles& shingles) {
  std::array<uint64_t, kBands> bands;
  for (size_t band = 0; band < kBands; ++band) {
    std::array<uint64_t, kRows> least;
    for (size_t row = 0; row < kRows; ++row) {
      least[row] = UINT64_MAX;
      for (const uint64_t shingle : shingles)
        least[row] = std::min(least[row], MixBits(shingle ^ RandomBits(band, row)));
    }
    bands[band] = Hash64({reinterpret_cast<const uint8_t*>(least.data()), sizeof least}, band);
  }
  return bands;
}

}  // namespace

std::vector<size_t> FindDuplicates(const std::vector<std::string>& texts) {
  std::vector<Shingles> shingles;
  for (const std::string& text : texts) shingles.push_back(ShinglesOf(text));
  RemoveForm(&shingles);
  std::map<uint64_t, std::vector<size_t>> buckets;
  std::vector<size_t> first(texts.size(), kNoDuplicate);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto bands = BandsOf(shingles[i]);
    for (const uint64_t band : bands)
      for (const size_t other : buckets[band])
        if (other < first[i] && Similarity(shingles[other], shingles[i]) >= kSimilar)
          first[i] = other;
    // A duplicate stands for nothing: the one before it is there.
    if (first[i] == kNoDuplicate)
      for (const uint64_t band : bands) buckets[band].push_back(i);
  }
  return first;
}

}  // namespace slm::train
