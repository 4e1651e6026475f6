// The promise of docs/arithmetic.md: the bits of the logits depend on the tokens only. A Gemma-like
// model with windows is the hardest case: its caches drop pages.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/error.h"
#include "engine/executor.h"
#include "kernels/table.h"
#include "tiny/tiny_model.h"

namespace slm::engine {
namespace {

using Logits = std::vector<float>;

std::vector<int32_t> RandomIds(size_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(rng() % testing::kTinyVocab);
  return ids;
}

bool SameBits(const Logits& a, const Logits& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), 4 * a.size()) == 0;
}

struct Param {
  std::string isa;
  std::string arch;
  quant::Type type;
  kernels::KvType kv;
};

class Determinism : public ::testing::TestWithParam<Param> {
 protected:
  void SetUp() override {
    path_ = testing::WriteTinyModel({.arch = GetParam().arch, .type = GetParam().type});
    Open(1);
  }
  void Open(int threads) {
    executor_.reset();
    model_.reset();
    runtime_ = std::make_unique<Runtime>(threads, kernels::FindTable(GetParam().isa));
    model_ = Model::Load(path_, runtime_.get());
    executor_ = std::make_unique<Executor>(model_);
  }
  Session NewSession(int64_t context = 2048) const {
    return Session(model_, {context, GetParam().kv, GetParam().kv});
  }
  Logits Extend(Session* session, std::span<const int32_t> ids) const {
    const std::span<const float> logits = executor_->Extend(session, ids);
    return {logits.begin(), logits.end()};
  }
  Logits Fresh(std::span<const int32_t> ids) const {
    Session session = NewSession();
    return Extend(&session, ids);
  }

  std::string path_;
  std::unique_ptr<Runtime> runtime_;
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Executor> executor_;
};

TEST_P(Determinism, PiecesOfAnySize) {
  const std::vector<int32_t> ids = RandomIds(200, 1);
  const Logits whole = Fresh(ids);
  for (const size_t piece : {1, 7, 64, 100, 199}) {
    Session session = NewSession();
    Logits logits;
    for (size_t at = 0; at < ids.size();) {
      at = std::min(ids.size(), at + piece);
      logits = Extend(&session, std::span(ids).first(at));
    }
    EXPECT_TRUE(SameBits(logits, whole)) << "pieces of " << piece;
  }
}

TEST_P(Determinism, AnyNumberOfThreads) {
  const std::vector<int32_t> ids = RandomIds(130, 2);
  const Logits one = Fresh(ids);
  for (const int threads : {2, 3}) {
    Open(threads);
    EXPECT_TRUE(SameBits(Fresh(ids), one)) << threads << " threads";
  }
}

TEST_P(Determinism, ReusedPrefixes) {
  std::vector<int32_t> ids = RandomIds(900, 3);
  Session session = NewSession();
  Extend(&session, ids);
  session.Mark();
  // Edits near the end, behind the window and at the start: the window's pages are there, marked,
  // or gone.
  for (const size_t at : {890, 640, 300, 64, 1}) {
    ids.resize(at + 40);
    for (size_t i = at; i < ids.size(); ++i) ids[i] = (ids[i] + 1) % testing::kTinyVocab;
    EXPECT_TRUE(SameBits(Extend(&session, ids), Fresh(ids))) << "edited at " << at;
    EXPECT_EQ(session.tokens(), ids);
  }
}

TEST_P(Determinism, MarkedTurns) {
  const std::vector<int32_t> ids = RandomIds(1500, 4);
  Session session = NewSession();
  for (const size_t turn : {100, 400, 1400}) {
    Extend(&session, std::span(ids).first(turn));
    session.Mark();
  }
  std::vector<int32_t> edited(ids.begin(), ids.begin() + 430);
  edited.back() ^= 1;
  // Window layers go on from the mark at 400; the others, where they are.
  const int64_t kept = session.KeepPrefix(edited, 429);
  EXPECT_EQ(kept, model_->hparams().window > 0 ? 400 : 429);
  EXPECT_TRUE(SameBits(Extend(&session, edited), Fresh(edited)));
}

TEST_P(Determinism, SessionsTogetherAndApart) {
  const std::vector<int32_t> a = RandomIds(90, 5), b = RandomIds(70, 6);
  Session first = NewSession(), second = NewSession();
  std::vector<Logits> together(2);
  const BatchItem batch[] = {{&first, a, 1}, {&second, b, 1}};
  executor_->Forward(batch, [&](size_t item, int64_t, std::span<const float> logits) {
    together[item] = {logits.begin(), logits.end()};
  });
  EXPECT_TRUE(SameBits(together[0], Fresh(a)));
  EXPECT_TRUE(SameBits(together[1], Fresh(b)));
}

TEST_P(Determinism, ContextOverflowChangesNothing) {
  const std::vector<int32_t> ids = RandomIds(50, 7);
  Session session = NewSession(50);
  const Logits logits = Extend(&session, ids);
  std::vector<int32_t> longer = ids;
  longer.push_back(1);
  try {
    Extend(&session, longer);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "51 tokens do not fit the context of 50");
  }
  EXPECT_EQ(session.tokens(), ids);
}

std::vector<Param> Params() {
  std::vector<Param> params;
  for (const kernels::KernelTable* table : kernels::AvailableTables()) {
    if (table->isa == "ref") continue;  // its sums over pages are in double and rounded in between
    for (const char* arch : {"gemma3", "llama"}) {
      const bool is_slow = table->isa == "scalar";
      params.push_back({std::string(table->isa), arch, quant::Type::kQ8_0, kernels::KvType::kQ8_0});
      if (is_slow) continue;
      params.push_back({std::string(table->isa), arch, quant::Type::kF32, kernels::KvType::kF32});
      params.push_back({std::string(table->isa), arch, quant::Type::kQ4_1, kernels::KvType::kF16});
    }
    if (table->isa == "scalar") continue;
    // The other two forms of activations, and what the files of the field are made of.
    for (const quant::Type type : {quant::Type::kQ4_K, quant::Type::kQ6_K, quant::Type::kBF16})
      params.push_back({std::string(table->isa), "llama", type, kernels::KvType::kF16});
  }
  return params;
}

INSTANTIATE_TEST_SUITE_P(Models, Determinism, ::testing::ValuesIn(Params()), [](const auto& test) {
  return test.param.isa + "_" + test.param.arch + "_" + quant::Traits(test.param.type).name;
});

}  // namespace
}  // namespace slm::engine
