// Models held against a base, side by side on the chunks of a text, or on other sequences: no
// logits need to be stored, and those of a few rows only are in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "eval/base_logits.h"
#include "eval/chunk_reader.h"
#include "eval/kl_divergence.h"
#include "text/text_chunks.h"

namespace slm {
class Progress;
}

namespace slm::eval {

// Where the base's distributions come from.
class Base {
 public:
  virtual ~Base() = default;
  // Of every row of a scored block, valid until the next call; of others, which have to be read
  // too, nothing. Blocks come in their order, those of one chunk or sequence after the other.
  virtual std::span<const LogProbs> Read(int64_t chunk, std::span<const int32_t> input,
                                         const ChunkBlock& block) = 0;
};

class ModelBase : public Base {
 public:
  // `saved`, if any, gets every row.
  ModelBase(engine::Executor* executor, engine::Session* session,
            BaseLogitsWriter* saved = nullptr);
  std::span<const LogProbs> Read(int64_t chunk, std::span<const int32_t> input,
                                 const ChunkBlock& block) override;

 private:
  ChunkReader reader_;
  ThreadPool* pool_;
  BaseLogitsWriter* saved_;
  std::vector<LogProbs> rows_;
  std::vector<std::vector<uint16_t>> codes_;
};

class StoredBase : public Base {
 public:
  StoredBase(const BaseLogits* stored, ThreadPool* pool) : stored_(stored), pool_(pool) {}
  std::span<const LogProbs> Read(int64_t chunk, std::span<const int32_t> input,
                                 const ChunkBlock& block) override;

 private:
  const BaseLogits* stored_;
  ThreadPool* pool_;
  std::vector<float> values_;
  std::vector<LogProbs> rows_;
};

struct Candidate {
  engine::Executor* executor = nullptr;
  engine::Session* session = nullptr;
};

// What a model reads, and which of its positions count.
struct Sequence {
  std::vector<int32_t> ids;
  std::vector<ChunkBlock> blocks;
};

// Called for every scored position in order, for one candidate after the other.
using RowSink = std::function<void(size_t candidate, const LogProbs& base, const LogProbs& model)>;

// At the scored positions of `count` sequences, [candidates][sequences]. Throws as Compare.
using SequenceDivergences = std::vector<std::vector<TokenDivergence>>;
std::vector<SequenceDivergences> CompareSequences(
    int64_t count, const std::function<Sequence(int64_t index)>& sequence_of, Base* base,
    std::span<const Candidate> candidates, const RowSink& sink = {}, Progress* progress = nullptr);

// One Divergence a candidate; without candidates the base alone is read. All have the vocabulary of
// the base. Throws kBadInput, naming the candidate's file, when logits are not finite.
std::vector<Divergence> Compare(const text::TextChunks& chunks, Base* base,
                                std::span<const Candidate> candidates, const RowSink& sink = {},
                                Progress* progress = nullptr);

}  // namespace slm::eval
