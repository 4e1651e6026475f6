// The promise of docs/arithmetic.md on real models: the .gguf files in SLM_MODELS of up to 1 GB.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <string_view>
#include <vector>

#include "engine/executor.h"
#include "kernels/table.h"

namespace slm::engine {
namespace {

constexpr size_t kTokens = 512;

// All 512 rows of Gemma's vocabulary would take half a gigabyte.
size_t Hash(std::span<const float> logits) {
  return std::hash<std::string_view>()(
      {reinterpret_cast<const char*>(logits.data()), logits.size_bytes()});
}

void ExpectSameLogitsInOneColumn(const std::string& path) {
  Runtime runtime(2, kernels::Kernels());
  const auto model = Model::Load(path, &runtime);
  Executor executor(model);
  std::mt19937 rng(9);
  std::vector<int32_t> ids(kTokens);
  for (int32_t& id : ids)
    id = static_cast<int32_t>(rng() % static_cast<uint32_t>(model->hparams().vocab));

  std::vector<size_t> together(kTokens);
  Session whole(model, {kTokens});
  const BatchItem all = {&whole, ids, kTokens};
  executor.Forward({&all, 1}, [&](size_t, int64_t row, std::span<const float> logits) {
    together[static_cast<size_t>(row)] = Hash(logits);
  });
  Session one(model, {kTokens});
  size_t compared = 0;
  for (size_t t = 0; t < kTokens; ++t) {
    const BatchItem next = {&one, std::span(ids).subspan(t, 1), 1};
    executor.Forward({&next, 1}, [&](size_t, int64_t, std::span<const float> logits) {
      ASSERT_EQ(Hash(logits), together[t]) << "token " << t;
      ++compared;
    });
    if (::testing::Test::HasFatalFailure()) return;
  }
  EXPECT_EQ(compared, kTokens);
}

TEST(RealModels, OneColumnAgainst512) {
  const char* folder = std::getenv("SLM_MODELS");
  int models = 0;
  if (folder && std::filesystem::is_directory(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".gguf" || entry.file_size() > 1'000'000'000) continue;
      SCOPED_TRACE(entry.path().filename().string());
      ExpectSameLogitsInOneColumn(entry.path());
      ++models;
    }
  if (models == 0) GTEST_SKIP() << "skipped: no .gguf file in SLM_MODELS";
}

}  // namespace
}  // namespace slm::engine
