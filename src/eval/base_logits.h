// The base-logit files of llama.cpp (`llama-perplexity --kl-divergence-base`, of which this format
// is), read and written: the distributions that a base model gave for chunks of a text, in 16 bits
// a token of the vocabulary.
//
//   "_logits_"  int32 size of a chunk, vocabulary V, chunks  int32 ids[chunks][size]
//   per chunk and scored position (text_chunks.h), in order, a row:
//     float scale, least; uint16 codes[V rounded up to an even number]; ln p = scale * code + least
//
// Numbers are little-endian. Probabilities below e^-16 of the greatest are stored as that.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "base/result_file.h"
#include "text/text_chunks.h"

namespace slm::eval {

class BaseLogits {
 public:
  // Throws kFailed when it cannot be opened; kBadInput when it is not such a file, its size is not
  // what its head says, or an id is not in the vocabulary.
  static BaseLogits Open(const std::string& path);
  // A file in memory, which must outlive the result.
  static BaseLogits Parse(std::span<const uint8_t> bytes);

  int64_t chunk_size() const { return chunk_size_; }
  int64_t vocab() const { return vocab_; }
  int64_t chunks() const { return static_cast<int64_t>(ids_.size()) / chunk_size_; }
  const std::vector<int32_t>& ids() const { return ids_; }  // [chunks, chunk_size]

  // ln p at scored position `row` of a chunk, [V]. Throws kBadInput, naming both, when the row's
  // scale or least value cannot be of probabilities.
  void ReadRow(int64_t chunk, int64_t row, std::span<float> log_probs) const;

 private:
  void ReadHead(std::span<const uint8_t> bytes);

  std::unique_ptr<MappedFile> map_;  // empty for a file in memory
  std::string path_;
  std::span<const uint8_t> rows_;
  int64_t chunk_size_ = 0, vocab_ = 0;
  std::vector<int32_t> ids_;
};

// A row of the file for these logits.
std::vector<uint16_t> EncodeRow(std::span<const float> logits);

// Writes them through a ResultFile.
class BaseLogitsWriter {
 public:
  // Throws as ResultFile does.
  BaseLogitsWriter(const std::string& path, const text::TextChunks& chunks, int64_t vocab);

  // The next of chunks * scored rows, made by EncodeRow.
  void Append(std::span<const uint16_t> row);
  void Finish();  // after all of them

 private:
  ResultFile file_;
  int64_t rows_left_;
};

}  // namespace slm::eval
