// A text as llama.cpp's tools measure on it: tokenized whole and cut into chunks that are computed
// each by itself, with BOS, where the model wants one, in the place of a chunk's first token. The
// second half of a chunk counts: positions size / 2 to size - 2 predict their next token.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace slm::text {

struct ChunkOptions {
  int64_t size = 512;  // tokens
  int64_t first = 0;   // chunks of the text that are passed over
  int64_t count = -1;  // -1: all
};

// Throws kUsage unless a chunk can be halved into something to measure, `first` is at least 0 and
// `count` is -1 or positive.
void CheckChunkOptions(const ChunkOptions& options);

class TextChunks {
 public:
  // Throws as CheckChunkOptions does; kBadInput when the text has fewer tokens than two chunks, or
  // fewer chunks than asked for.
  TextChunks(const text::Tokenizer& tokenizer, std::string_view text, const ChunkOptions& options);
  // Chunks that were cut before: ids [count, size], all in the vocabulary of the tokenizer.
  TextChunks(const text::Tokenizer& tokenizer, std::vector<int32_t> ids, int64_t size);

  int64_t size() const { return size_; }
  int64_t count() const { return static_cast<int64_t>(ids_.size()) / size_; }
  int64_t scored() const { return size_ - 1 - size_ / 2; }  // positions of a chunk that count
  const std::vector<int32_t>& ids() const { return ids_; }  // [count, size]

  // What the text has there, [size].
  std::span<const int32_t> Ids(int64_t chunk) const;
  // What a model reads, [size].
  std::vector<int32_t> Input(int64_t chunk) const;

 private:
  int64_t size_;
  int32_t bos_;  // -1: none is wanted
  std::vector<int32_t> ids_;
};

}  // namespace slm::text
