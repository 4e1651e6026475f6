// SentencePiece's BPE: characters merge into the token with the best score. What is no token in the
// end becomes byte tokens, or the unknown token where the vocabulary has no byte tokens.
//
// Here tokens and text have a plain space where SentencePiece has U+2581.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/merge.h"
#include "text/token_table.h"
#include "text/vocab.h"
#include "text/whole_pieces.h"

namespace slm::text {

class Spm {
 public:
  // `tokens` must outlive this; those indexed, `mergeable`, are what text can become. Throws Error
  // kBadInput for a score that is not a number.
  Spm(const Vocab& vocab, const TokenTable& tokens, const std::vector<int32_t>& mergeable,
      const std::array<int32_t, 256>& byte_ids, int32_t unk);

  // Appends the ids of `text`, which has no special tokens in it and is taken as it is: prefix and
  // normalization are the caller's.
  void Encode(std::string_view text, std::vector<int32_t>* out) const;

 private:
  struct Output {
    std::vector<int32_t>* ids;
    bool after_unknown = false;  // neighbouring unknown symbols become one unknown token
  };
  void EncodePiece(std::string_view piece, std::vector<Symbol>* scratch, Output* out) const;
  void Split(std::string_view piece, std::vector<Symbol>* symbols) const;
  void Emit(std::string_view piece, const Symbol& symbol, Output* out) const;

  const TokenTable& tokens_;
  std::vector<uint32_t> ranks_;  // by id; 0 is the best score
  std::array<int32_t, 256> byte_ids_;
  int32_t unk_;
  std::bitset<256> joins_space_;  // bytes that come before a space inside some token
  mutable WholePieces whole_;
};

}  // namespace slm::text
