// Reads tokenizer.model: a protocol buffer (sentencepiece_model.proto, ModelProto), of which the
// pieces and a few settings matter. Hostile input.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace slm::convert {

struct SentencePiece {
  std::string text;
  float score = 0;
  int32_t type = 1;  // text::TokenType has the same numbers
};

struct SentencePieceModel {
  std::vector<SentencePiece> pieces;  // by id
  int32_t bos = 1, eos = 2, unk = 0, pad = -1;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
};

// Throws Error: kBadInput when malformed, kUnsupported for other algorithms than BPE and for
// normalizers that change characters.
SentencePieceModel ParseSentencePiece(const std::string& path, std::span<const uint8_t> bytes);

}  // namespace slm::convert
