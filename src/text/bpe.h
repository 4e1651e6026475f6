// Byte-level BPE: GPT-2's with a list of merges, as Hugging Face's tokenizers does it, and
// tiktoken's (also mistral-common's tekken), where the rank of a merge is the id of its result.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/merge.h"
#include "text/pre_tokenizer.h"
#include "text/token_table.h"
#include "text/vocab.h"
#include "text/whole_pieces.h"

namespace slm::text {

// The bytes that a token of a "gpt2" vocabulary spells in GPT-2's alphabet, where a character
// stands for each byte; nothing when it has a character outside it.
std::optional<std::string> BytesOfGpt2Token(std::string_view token);

class Bpe {
 public:
  // `tokens` must outlive this and hold real bytes; those indexed are what text can become. Throws
  // Error kBadInput for a merge that is malformed or names a token that is not there.
  Bpe(const Vocab& vocab, const TokenTable& tokens, const PreTokenizer& pre);

  // Appends the ids of `text`, which has no special tokens in it. Bytes that have no token vanish
  // (so they do in Hugging Face's tokenizers without an unknown token).
  void Encode(std::string_view text, std::vector<int32_t>* out) const;

 private:
  void EncodePiece(std::string_view piece, std::vector<Symbol>* scratch,
                   std::vector<int32_t>* out) const;
  void Split(std::string_view piece, std::vector<Symbol>* symbols) const;

  const TokenTable& tokens_;
  const PreTokenizer& pre_;
  std::array<int32_t, 256> byte_ids_;
  std::optional<PairTable> pairs_;  // nothing: ranks are ids
  mutable WholePieces whole_;
};

}  // namespace slm::text
