// Perplexity and comparison end to end on tiny models.
#include "eval/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"
#include "eval/perplexity.h"
#include "model/vocab.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::eval {
namespace {

constexpr int64_t kSize = 300;  // more than one block of each kind is needed

std::string Text() {
  std::string text;
  for (int i = 0; text.size() < 950; ++i) text += "line " + std::to_string(i * i) + ", ";
  return text;
}

// A tiny model with what runs it.
struct Loaded {
  explicit Loaded(const std::string& path, int threads = 2)
      : runtime(threads),
        model(engine::Model::Load(path, &runtime)),
        tokenizer(model::MakeTokenizer(model->file())),
        executor(model),
        session(model, {kSize, kernels::KvType::kF16, kernels::KvType::kF16}) {}
  text::TextChunks Chunks() const { return text::TextChunks(tokenizer, Text(), {.size = kSize}); }
  Candidate candidate() { return {&executor, &session}; }

  engine::Runtime runtime;
  std::shared_ptr<const engine::Model> model;
  text::Tokenizer tokenizer;
  engine::Executor executor;
  engine::Session session;
};

std::string TinyF32() { return testing::WriteTinyModel({.arch = "gemma3"}); }
std::string TinyQ8() {
  return testing::WriteTinyModel({.arch = "gemma3", .type = quant::Type::kQ8_0});
}

TEST(ChunkReaderTest, BlocksCoverWhatCounts) {
  for (const int64_t size : {4, 5, 64, 300, 2048}) {
    int64_t next = 0, scored = 0;
    for (const ChunkBlock& block : BlocksOf(size)) {
      EXPECT_EQ(block.first, next);
      EXPECT_EQ(block.is_scored, block.first >= size / 2);
      EXPECT_LE(block.rows, engine::Executor::kMaxRows);
      next += block.rows;
      if (block.is_scored) scored += block.rows;
    }
    EXPECT_EQ(next, size - 1);
    EXPECT_EQ(scored, size - 1 - size / 2);
  }
}

TEST(ChunkReaderTest, BlocksOfAnyPositions) {
  std::mt19937 rng(3);
  for (const size_t most : {1, 5, 200, 1500}) {
    std::vector<bool> is_scored;
    while (is_scored.size() < 2000)
      is_scored.insert(is_scored.end(), 1 + rng() % most, rng() % 2 == 0);
    std::vector<bool> read;
    for (const ChunkBlock& block : BlocksOf(is_scored)) {
      EXPECT_EQ(block.first, static_cast<int64_t>(read.size()));
      EXPECT_LE(block.rows, block.is_scored ? 64 : engine::Executor::kMaxRows);
      read.insert(read.end(), static_cast<size_t>(block.rows), block.is_scored);
    }
    while (!is_scored.empty() && !is_scored.back()) is_scored.pop_back();
    EXPECT_EQ(read, is_scored);
  }
  EXPECT_TRUE(BlocksOf(std::vector<bool>(7)).empty());
}

TEST(PerplexityTest, IsThatOfWholeChunks) {
  Loaded loaded(TinyF32());
  const text::TextChunks chunks = loaded.Chunks();
  ASSERT_EQ(chunks.count(), 3);
  const Perplexity got = MeasurePerplexity(chunks, &loaded.executor, &loaded.session, nullptr);
  double sum = 0;
  int64_t tokens = 0;
  for (int64_t chunk = 0; chunk < chunks.count(); ++chunk) {
    const std::vector<int32_t> input = chunks.Input(chunk);
    engine::Session session(loaded.model, {kSize, kernels::KvType::kF16, kernels::KvType::kF16});
    const engine::BatchItem item = {&session, input, kSize};
    loaded.executor.Forward({&item, 1}, [&](size_t, int64_t row, std::span<const float> logits) {
      if (row < kSize / 2 || row == kSize - 1) return;
      const LogProbs p = Softmax(logits);
      const auto next = static_cast<size_t>(input[static_cast<size_t>(row + 1)]);
      sum -= static_cast<double>(logits[next]) - p.log_sum;
      ++tokens;
    });
  }
  EXPECT_EQ(got.tokens, tokens);
  EXPECT_NEAR(got.perplexity, std::exp(sum / static_cast<double>(tokens)), 1e-9 * got.perplexity);
}

TEST(CompareTest, ModelsAgainstABase) {
  Loaded base(TinyF32()), same(TinyF32(), 1), other(TinyQ8());
  const text::TextChunks chunks = base.Chunks();
  ModelBase model_base(&base.executor, &base.session);
  const Candidate candidates[] = {same.candidate(), other.candidate()};
  size_t rows[2] = {};
  const auto sink = [&](size_t candidate, const LogProbs& of_base, const LogProbs& of_model) {
    ++rows[candidate];
    if (candidate == 1) return;
    EXPECT_EQ(std::vector<float>(of_base.values.begin(), of_base.values.end()),
              std::vector<float>(of_model.values.begin(), of_model.values.end()));
  };
  const std::vector<Divergence> found = Compare(chunks, &model_base, candidates, sink);
  ASSERT_EQ(found.size(), 2u);
  const int64_t tokens = chunks.count() * chunks.scored();
  EXPECT_EQ(rows[0], static_cast<size_t>(tokens));
  EXPECT_EQ(rows[1], static_cast<size_t>(tokens));
  const Perplexity ppl = MeasurePerplexity(chunks, &other.executor, &other.session, nullptr);
  EXPECT_NEAR(found[1].ppl.value, ppl.perplexity, 1e-9 * ppl.perplexity);
  EXPECT_NEAR(found[1].ppl.error, ppl.standard_error, 1e-6 * ppl.standard_error);
  EXPECT_EQ(found[0].tokens, tokens);
  EXPECT_EQ(found[0].kld.value, 0);
  EXPECT_EQ(found[0].same_top.value, 1);
  EXPECT_EQ(found[0].ppl.value, found[0].base_ppl.value);
  EXPECT_GT(found[1].kld.value, 0.1);  // their weights have nothing in common
  EXPECT_LT(found[1].same_top.value, 0.5);
}

TEST(CompareTest, SequencesByTheirOwnPositions) {
  Loaded base(TinyF32()), other(TinyQ8());
  std::mt19937 rng(4);
  std::vector<Sequence> sequences;
  std::vector<std::vector<bool>> are_scored;
  for (const size_t length : {3, 40, 150, 290}) {
    are_scored.emplace_back();
    for (size_t i = 0; i + 1 < length; ++i) are_scored.back().push_back(i == 1 || rng() % 4 == 0);
    sequences.push_back({testing::RandomIds(length, rng), BlocksOf(are_scored.back())});
  }
  const auto sequence_of = [&](int64_t i) { return sequences[static_cast<size_t>(i)]; };
  ModelBase model_base(&base.executor, &base.session);
  const Candidate candidate = other.candidate();
  const auto found = CompareSequences(static_cast<int64_t>(sequences.size()), sequence_of,
                                      &model_base, {&candidate, 1});
  ASSERT_EQ(found.size(), 1u);
  ASSERT_EQ(found[0].size(), sequences.size());
  for (size_t s = 0; s < sequences.size(); ++s) {
    const std::vector<int32_t>& ids = sequences[s].ids;
    const auto logits_of = [&](const Loaded& loaded) {
      engine::Session session(loaded.model, {kSize, kernels::KvType::kF16, kernels::KvType::kF16});
      engine::Executor executor(loaded.model);
      const engine::BatchItem item = {&session, ids, static_cast<int64_t>(ids.size())};
      std::vector<std::vector<float>> rows;
      executor.Forward({&item, 1}, [&](size_t, int64_t, std::span<const float> logits) {
        rows.emplace_back(logits.begin(), logits.end());
      });
      return rows;
    };
    const auto of_base = logits_of(base), of_other = logits_of(other);
    size_t next = 0;
    for (size_t row = 0; row < are_scored[s].size(); ++row) {
      if (!are_scored[s][row]) continue;
      ASSERT_LT(next, found[0][s].size());
      const TokenDivergence& got = found[0][s][next++];
      const LogProbs p = Softmax(of_base[row]), q = Softmax(of_other[row]);
      const TokenDivergence expected = Diverge(p, q, ids[row + 1]);
      EXPECT_EQ(got.loss, expected.loss);
      EXPECT_EQ(got.base_loss, expected.base_loss);
      EXPECT_EQ(got.kld, expected.kld);
      EXPECT_EQ(got.is_right, q.top == ids[row + 1]);
      EXPECT_EQ(got.is_base_right, p.top == ids[row + 1]);
    }
    EXPECT_EQ(next, found[0][s].size());
  }
}

TEST(CompareTest, AStoredBaseIsAlmostTheModel) {
  const testing::TempFolder folder;
  Loaded base(TinyF32()), other(TinyQ8());
  const text::TextChunks chunks = base.Chunks();
  const Candidate candidate = other.candidate();
  BaseLogitsWriter writer(folder / "base", chunks, testing::kTinyVocab);
  ModelBase model_base(&base.executor, &base.session, &writer);
  const Divergence direct = Compare(chunks, &model_base, {&candidate, 1})[0];
  writer.Finish();

  const BaseLogits stored = BaseLogits::Open(folder / "base");
  EXPECT_EQ(stored.ids(), chunks.ids());
  const text::TextChunks read(other.tokenizer, stored.ids(), stored.chunk_size());
  StoredBase stored_base(&stored, other.runtime.pool());
  const Divergence through_file = Compare(read, &stored_base, {&candidate, 1})[0];
  EXPECT_EQ(through_file.ppl.value, direct.ppl.value);
  EXPECT_NEAR(through_file.base_ppl.value, direct.base_ppl.value, 1e-3 * direct.base_ppl.value);
  EXPECT_NEAR(through_file.kld.value, direct.kld.value, 1e-4);
  EXPECT_NEAR(through_file.same_top.value, direct.same_top.value, 0.03);
}

}  // namespace
}  // namespace slm::eval
