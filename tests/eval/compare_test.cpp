// Perplexity and comparison end to end on tiny models.
#include "eval/compare.h"

#include <gtest/gtest.h>

#include <cmath>

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
