// Where the end of a token list has occurred before: prompt lookup, after LLMA (Yang et al.,
// "Inference with Reference", 2023) and LZ77's search for the longest match.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace slm::engine {

class NgramIndex {
 public:
  static constexpr int64_t kShortest = 2;  // matches, in tokens
  static constexpr int64_t kLongest = 32;  // longer ones are not told apart

  struct Match {
    int64_t length = 0;  // of the longest end of the list that has occurred before; 0: none has
    int64_t next = 0;    // where the token is that followed it
  };

  // `tokens` is the list of the last call with any number of tokens added. The latest one of the
  // longest matches is found, among the most recent kCandidates places where the last two tokens
  // occurred. Memory: some 50 bytes a token.
  Match Find(std::span<const int32_t> tokens);

 private:
  static constexpr int kCandidates = 64;

  std::unordered_map<uint64_t, int32_t> latest_;  // by pair of tokens: where its second one is
  std::vector<int32_t> earlier_;  // by position: the same pair's place before it, or -1
};

}  // namespace slm::engine
