#include "eval/compare.h"

#include <cmath>

#include "base/error.h"
#include "base/progress.h"

namespace slm::eval {
namespace {

// logits: [rows, V]
void SoftmaxRows(std::span<const float> logits, ThreadPool* pool, std::vector<LogProbs>* rows) {
  const size_t vocab = logits.size() / rows->size();
  pool->ParallelFor(static_cast<int64_t>(rows->size()), [&](int64_t row, int) {
    const auto r = static_cast<size_t>(row);
    (*rows)[r] = Softmax(logits.subspan(r * vocab, vocab));
  });
}

bool IsFinite(const TokenDivergence& token) {
  return std::isfinite(token.loss) && std::isfinite(token.base_loss) && std::isfinite(token.kld);
}

}  // namespace

ModelBase::ModelBase(engine::Executor* executor, engine::Session* session, BaseLogitsWriter* saved)
    : reader_(executor, session), pool_(session->model().runtime()->pool()), saved_(saved) {}

std::span<const LogProbs> ModelBase::Read(int64_t, std::span<const int32_t> input,
                                          const ChunkBlock& block) {
  const std::span<const float> logits = reader_.Read(input, block);
  if (!block.is_scored) return {};
  rows_.resize(static_cast<size_t>(block.rows));
  SoftmaxRows(logits, pool_, &rows_);
  if (!saved_) return rows_;
  codes_.resize(rows_.size());
  pool_->ParallelFor(block.rows, [&](int64_t row, int) {
    const auto r = static_cast<size_t>(row);
    codes_[r] = EncodeRow(rows_[r].values);
  });
  for (const std::vector<uint16_t>& row : codes_) saved_->Append(row);
  return rows_;
}

std::span<const LogProbs> StoredBase::Read(int64_t chunk, std::span<const int32_t> input,
                                           const ChunkBlock& block) {
  if (!block.is_scored) return {};
  const auto vocab = static_cast<size_t>(stored_->vocab());
  rows_.resize(static_cast<size_t>(block.rows));
  values_.resize(rows_.size() * vocab);
  const int64_t first = block.first - static_cast<int64_t>(input.size()) / 2;
  pool_->ParallelFor(block.rows, [&](int64_t row, int) {
    const auto r = static_cast<size_t>(row);
    const std::span<float> values = std::span(values_).subspan(r * vocab, vocab);
    stored_->ReadRow(chunk, first + row, values);
    rows_[r] = StoredLogProbs(values);
  });
  return rows_;
}

std::vector<SequenceDivergences> CompareSequences(
    int64_t count, const std::function<Sequence(int64_t index)>& sequence_of, Base* base,
    std::span<const Candidate> candidates, const RowSink& sink, Progress* progress) {
  if (progress) progress->Start("comparing", ProgressUnit::kCount, 0, static_cast<uint64_t>(count));
  std::vector<ChunkReader> readers;
  for (const Candidate& candidate : candidates)
    readers.emplace_back(candidate.executor, candidate.session);
  std::vector<SequenceDivergences> found(candidates.size());
  std::vector<LogProbs> rows;
  for (int64_t index = 0; index < count; ++index) {
    const Sequence sequence = sequence_of(index);
    const std::span<const int32_t> input = sequence.ids;
    for (SequenceDivergences& of_one : found) of_one.emplace_back();
    for (const ChunkBlock& block : sequence.blocks) {
      const std::span<const LogProbs> base_rows = base->Read(index, input, block);
      for (size_t c = 0; c < candidates.size(); ++c) {
        const engine::Model& model = candidates[c].session->model();
        const std::span<const float> logits = readers[c].Read(input, block);
        if (!block.is_scored) continue;
        rows.resize(base_rows.size());
        ThreadPool* pool = model.runtime()->pool();
        SoftmaxRows(logits, pool, &rows);
        std::vector<TokenDivergence>& tokens = found[c].back();
        const size_t before = tokens.size();
        tokens.resize(before + rows.size());
        pool->ParallelFor(block.rows, [&](int64_t row, int) {
          const auto r = static_cast<size_t>(row);
          tokens[before + r] =
              Diverge(base_rows[r], rows[r], input[static_cast<size_t>(block.first + row + 1)]);
        });
        for (size_t r = 0; r < rows.size(); ++r) {
          if (!IsFinite(tokens[before + r]))
            throw Error(Code::kBadInput,
                        "{}: sequence {}, position {}: its logits or the base's are not finite",
                        model.file().path(), index, block.first + static_cast<int64_t>(r));
          if (sink) sink(c, base_rows[r], rows[r]);
        }
      }
    }
    if (progress) progress->Update(static_cast<uint64_t>(index + 1));
  }
  if (progress) progress->Finish();
  return found;
}

std::vector<Divergence> Compare(const text::TextChunks& chunks, Base* base,
                                std::span<const Candidate> candidates, const RowSink& sink,
                                Progress* progress) {
  const auto sequence_of = [&](int64_t chunk) {
    return Sequence{chunks.Input(chunk), BlocksOf(chunks.size())};
  };
  std::vector<Divergence> result;
  for (const SequenceDivergences& of_one :
       CompareSequences(chunks.count(), sequence_of, base, candidates, sink, progress)) {
    std::vector<TokenDivergence> tokens;
    for (const std::vector<TokenDivergence>& of_chunk : of_one)
      tokens.insert(tokens.end(), of_chunk.begin(), of_chunk.end());
    result.push_back(Summarize(tokens));
  }
  return result;
}

}  // namespace slm::eval
