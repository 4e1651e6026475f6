// Tokens that are found in text as they are written, before anything else looks at it, and the part
// that tokens play by their text where files do not say.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/vocab.h"

namespace slm::text {

struct SpecialToken {
  std::string text;
  int32_t id = -1;
  bool strip_left = false;   // also takes the white space before it
  bool strip_right = false;  // and after it
};

struct SpecialMatch {
  size_t begin = 0;  // what the token takes, stripped white space included
  size_t end = 0;
  int32_t id = -1;  // -1: none in the rest of the text
};

// Finds tokens left to right, at each place the longest one (as Hugging Face's tokenizers and
// SentencePiece do).
class SpecialMatcher {
 public:
  // None of the texts may be empty; of equal ones the first counts.
  explicit SpecialMatcher(std::vector<SpecialToken> tokens);

  SpecialMatch Next(std::string_view text, size_t from) const;

 private:
  const SpecialToken* LongestAt(std::string_view text) const;

  std::vector<SpecialToken> tokens_;  // sorted by text
  std::array<std::pair<uint32_t, uint32_t>, 256> by_first_byte_;
};

// Adds what the texts of the tokens say, as llama.cpp does: tokens of known names that end a turn
// become control tokens whatever the file calls them. Changes `types` and sets `eot` and `eom`
// where they are -1; returns all ids that end generation, ascending.
std::vector<int32_t> AssignRoles(const std::vector<std::string_view>& tokens,
                                 std::vector<TokenType>* types, int32_t eos, int32_t* eot,
                                 int32_t* eom);

// The tokens to look for in text, with the stripping that GGUF cannot express but their publishers
// ask for: Phi-3 and Phi-4.
std::vector<SpecialToken> ListSpecialTokens(const Vocab& vocab,
                                            const std::vector<TokenType>& types);

}  // namespace slm::text
