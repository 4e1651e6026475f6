// One model that reads sequences of tokens, such as the chunks of a text, and gives the logits that
// count.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/executor.h"

namespace slm::eval {

// A sequence is computed in blocks, so that logits of a few rows only are held. Those of scored
// blocks are wanted, each predicting the token after it; together they are all that count.
struct ChunkBlock {
  int64_t first = 0, rows = 0;  // positions in the sequence
  bool is_scored = false;
};
std::vector<ChunkBlock> BlocksOf(int64_t chunk_size);
// Of any positions, up to the last one that counts.
std::vector<ChunkBlock> BlocksOf(const std::vector<bool>& is_scored);

class ChunkReader {
 public:
  ChunkReader(engine::Executor* executor, engine::Session* session)
      : executor_(executor), session_(session) {}

  // Reads the next block of a sequence; a block at 0 starts anew. The logits of a scored block
  // are [rows, V] and valid until the next call; of others there are none.
  std::span<const float> Read(std::span<const int32_t> input, const ChunkBlock& block);

 private:
  engine::Executor* executor_;
  engine::Session* session_;
  std::vector<float> logits_;
};

}  // namespace slm::eval
