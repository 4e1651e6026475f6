// Splits text into the pieces within which byte-level BPE merges. Each publisher gives a regular
// expression; here each is a hand-written scanner over classes of characters, with the same
// matches, in linear time. The expressions stand beside the scanners.
#pragma once

#include <string>
#include <string_view>

namespace slm::text {

struct PreTokenizer {
  std::string_view name;  // as in tokenizer.ggml.pre

  // The end of the piece that starts at `p`; needs p < end, returns more than p. The bytes before
  // `p` do not matter, so that a text is split by calling it until `end`.
  const char* (*next)(const char* p, const char* end);

  bool nfc = false;           // normalize to NFC first
  bool whole_pieces = false;  // a piece that is a token needs no merges ("ignore_merges")
  bool add_bos = false;       // unless the file says otherwise
};

// Null when there is none of that name.
const PreTokenizer* FindPreTokenizer(std::string_view name);

// "llama-bpe, llama3, ...", for messages.
std::string PreTokenizerNames();

}  // namespace slm::text
