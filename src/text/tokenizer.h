// Text to token ids and back, for the vocabularies that GGUF files carry. A Tokenizer is const
// after construction and may be shared by threads; it keeps no view of the Vocab.
//
// It reproduces the publishers' own tokenizers; where those and llama.cpp differ, see
// docs/tokenizers.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/utf8_stream.h"
#include "text/vocab.h"

namespace slm::text {

struct EncodeOptions {
  // BOS in front and EOS behind where the model wants them. A BOS or EOS that the text has there
  // already (a rendered template may) is not doubled.
  bool add_special = false;
  // Control tokens written out in the text become those tokens. Leave it off for text that
  // strangers wrote. User-defined tokens are always found.
  bool parse_special = false;
};

class Tokenizer {
 public:
  // Throws Error: kBadInput when the vocabulary contradicts itself (sizes, ids out of range, equal
  // tokens, merges of tokens that are not there, a BOS wanted but not named), kUnsupported for an
  // unknown model or pre-tokenizer.
  explicit Tokenizer(const Vocab& vocab);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // `text` should be UTF-8; bytes that are not are encoded one by one. Memory is about 50 times the
  // longest piece between breaks (a word, save for hostile text) beside the result.
  std::vector<int32_t> Encode(std::string_view text, EncodeOptions options = {}) const;

  // The bytes of the tokens, not always UTF-8: a cut may go through a character. Without
  // `with_control`, control tokens give nothing. The space that encoding puts in front is taken off
  // again. Ids out of range throw kBadInput.
  std::string Decode(std::span<const int32_t> ids, bool with_control = false) const;

  // The bytes of one token; control and user-defined tokens give their text. Lives as long as this.
  std::string_view TokenBytes(int32_t id) const;

  int32_t size() const;
  bool IsControl(int32_t id) const;  // control or unknown; throws as Decode does

  // -1 where the model has none.
  int32_t bos() const;
  int32_t eos() const;
  int32_t eot() const;
  int32_t eom() const;
  int32_t unk() const;
  int32_t pad() const;

  bool adds_bos() const;
  bool adds_eos() const;
  bool adds_space_prefix() const;

  // Every token after which an answer is over, ascending.
  const std::vector<int32_t>& end_of_generation() const;
  bool IsEndOfGeneration(int32_t id) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

// Decodes token by token into whole UTF-8 characters, for streaming. The concatenation of all that
// it returns is Decode of all ids with what is not UTF-8 replaced by U+FFFD.
class StreamDecoder {
 public:
  // The tokenizer must outlive this.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool with_control = false)
      : tokenizer_(tokenizer), with_control_(with_control) {}

  std::string Push(int32_t id);
  std::string Flush() { return utf8_.Flush(); }

 private:
  const Tokenizer& tokenizer_;
  bool with_control_;
  bool at_start_ = true;
  Utf8Stream utf8_;
};

}  // namespace slm::text
