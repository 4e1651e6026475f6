// What a tokenizer is made from: the tokenizer.ggml.* metadata of a GGUF file, or the same facts
// from elsewhere. Plain data; whoever reads the file fills it in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slm::text {

// The values of tokenizer.ggml.token_type.
enum class TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // matched in text only on request; not part of decoded text
  kUserDefined = 4,  // matched in text always
  kUnused = 5,       // never matched
  kByte = 6,         // "<0xNN>"
};

struct Vocab {
  std::string
      model;        // tokenizer.ggml.model: "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE)
  std::string pre;  // tokenizer.ggml.pre; "gpt2" only, empty means "default"

  // Views: they need to live only until the Tokenizer is constructed. Text is as in GGUF: with
  // "gpt2", normal tokens spell bytes in GPT-2's alphabet; with "llama", U+2581 is a space.
  std::vector<std::string_view> tokens;
  std::vector<float> scores;             // "llama" only, one for each token
  std::vector<int32_t> types;            // TokenType; empty means that all are normal
  std::vector<std::string_view> merges;  // "gpt2" only, "left right", best first. Without any, the
                                         // tokens merge in order of id, as in tiktoken and tekken.

  // Ids; -1 means that the file does not say.
  int32_t bos = -1;
  int32_t eos = -1;
  int32_t eot = -1;
  int32_t eom = -1;
  int32_t unk = -1;
  int32_t pad = -1;

  // Where the file does not say, the model and the pre-tokenizer decide, as in llama.cpp.
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;
  std::optional<bool> add_space_prefix;          // "llama" only
  std::optional<bool> remove_extra_whitespaces;  // "llama" only
};

}  // namespace slm::text
