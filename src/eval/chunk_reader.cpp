#include "eval/chunk_reader.h"

#include <algorithm>

namespace slm::eval {
namespace {

constexpr int64_t kScoredRows = 64;  // of a block: bounds [rows, V]

}  // namespace

std::vector<ChunkBlock> BlocksOf(int64_t size) {
  std::vector<ChunkBlock> blocks;
  const auto add = [&](int64_t begin, int64_t end, int64_t most, bool is_scored) {
    for (int64_t at = begin; at < end; at += most)
      blocks.push_back({at, std::min(most, end - at), is_scored});
  };
  add(0, size / 2, engine::Executor::kMaxRows, false);
  add(size / 2, size - 1, kScoredRows, true);
  return blocks;
}

std::vector<ChunkBlock> BlocksOf(const std::vector<bool>& is_scored) {
  std::vector<ChunkBlock> blocks;
  for (size_t row = 0; row < is_scored.size(); ++row) {
    const int64_t most = is_scored[row] ? kScoredRows : engine::Executor::kMaxRows;
    if (row == 0 || is_scored[row] != is_scored[row - 1] || blocks.back().rows == most)
      blocks.push_back({static_cast<int64_t>(row), 0, is_scored[row]});
    ++blocks.back().rows;
  }
  while (!blocks.empty() && !blocks.back().is_scored) blocks.pop_back();
  return blocks;
}

std::span<const float> ChunkReader::Read(std::span<const int32_t> input, const ChunkBlock& block) {
  if (block.first == 0) session_->KeepPrefix({}, 0);
  const engine::BatchItem item = {
      session_, input.subspan(static_cast<size_t>(block.first), static_cast<size_t>(block.rows)),
      block.is_scored ? block.rows : 0};
  const auto vocab = static_cast<size_t>(session_->model().hparams().vocab);
  logits_.resize(static_cast<size_t>(item.logit_rows) * vocab);
  executor_->Forward({&item, 1}, [&](size_t, int64_t row, std::span<const float> logits) {
    std::copy(logits.begin(), logits.end(), logits_.begin() + row * static_cast<int64_t>(vocab));
  });
  return logits_;
}

}  // namespace slm::eval
