#include "compress/importance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "base/error.h"
#include "base/thread_pool.h"
#include "compress/calibrate.h"
#include "compress/quantizer.h"
#include "format/gguf.h"
#include "format/gguf_writer.h"
#include "kernels/table.h"
#include "model/vocab.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::compress {
namespace {

using Floats = std::vector<float>;

Floats Means(const Importance& importance, std::string_view tensor) {
  const std::span<const float> means = importance.Find(tensor);
  return {means.begin(), means.end()};
}

TEST(ImportanceTest, ReadsTheFilesOfOthers) {
  const Importance importance = Importance::Read("tests/golden/imatrix.gguf");
  EXPECT_EQ(importance.origin().datasets, (std::vector<std::string>{"a.txt", "b.txt"}));
  EXPECT_EQ(importance.origin().chunks, 3u);
  EXPECT_EQ(importance.origin().chunk_size, 512u);
  EXPECT_EQ(Means(importance, "blk.0.attn_q.weight"), (Floats{1, 2, 0, 0.5}));
  EXPECT_EQ(Means(importance, "blk.0.ffn_down_exps.weight"), (Floats{1, 2, 1, 1, 3, 1}));
  EXPECT_EQ(Means(importance, "blk.0.ffn_gate_exps.weight"), (Floats{1, 2, 3, 4}));
  EXPECT_TRUE(importance.Find("blk.0.attn_k.weight").empty());
}

TEST(ImportanceTest, WritesTheSameAgain) {
  const testing::TempFolder folder;
  const Importance importance = Importance::Read("tests/golden/imatrix.gguf");
  importance.Write(folder / "imatrix");
  const Importance again = Importance::Read(folder / "imatrix");
  EXPECT_EQ(again.origin().datasets, importance.origin().datasets);
  EXPECT_EQ(again.origin().chunks, 3u);
  ASSERT_EQ(again.sums().size(), importance.sums().size());
  const auto golden = format::GgufFile::Open("tests/golden/imatrix.gguf");
  const auto file = format::GgufFile::Open(folder / "imatrix");
  for (const auto& [name, sums] : importance.sums()) {
    EXPECT_EQ(again.sums().at(name).squares, sums.squares);
    EXPECT_EQ(again.sums().at(name).counts, sums.counts);
    for (const char* part : {".in_sum2", ".counts"})
      EXPECT_EQ(file.Get(name + part).dims, golden.Get(name + part).dims) << name << part;
  }
}

TEST(ImportanceTest, RefusesWhatIsNone) {
  const testing::TempFolder folder;
  struct Part {
    std::string name;
    Floats values;
    quant::Type type = quant::Type::kF32;
  };
  const auto error = [&](const std::string& type, const std::vector<Part>& parts) -> std::string {
    format::GgufWriter out(folder / "file");
    if (!type.empty()) out.SetString("general.type", type);
    for (const Part& part : parts) {
      const int64_t dims[] = {static_cast<int64_t>(part.values.size())};
      out.Declare(part.name, part.type, dims);
    }
    for (const Part& part : parts)
      out.Append({reinterpret_cast<const uint8_t*>(part.values.data()),
                  part.values.size() * (part.type == quant::Type::kF32 ? 4 : 2)});
    out.Finish();
    try {
      Importance::Read(folder / "file");
    } catch (const Error& problem) {
      EXPECT_EQ(problem.code(), Code::kBadInput);
      return problem.what();
    }
    return "";
  };
  const Part sums = {"a.in_sum2", {1, 2}}, count = {"a.counts", {1}};
  EXPECT_EQ(error("imatrix", {sums, count}), "");
  EXPECT_NE(error("model", {sums, count}).find("\"model\""), std::string::npos);
  EXPECT_NE(error("", {sums, count}), "");
  EXPECT_NE(error("imatrix", {}), "");
  EXPECT_NE(error("imatrix", {sums}).find("tensor a:"), std::string::npos);
  EXPECT_NE(error("imatrix", {count}), "");
  EXPECT_NE(error("imatrix", {sums, {"a.counts", {1, 1, 1}}}), "");
  for (const float bad : {-1.0f, INFINITY, NAN}) {
    EXPECT_NE(error("imatrix", {{"a.in_sum2", {1, bad}}, count}), "") << bad;
    EXPECT_NE(error("imatrix", {sums, {"a.counts", {bad}}}), "") << bad;
  }
  EXPECT_NE(error("imatrix", {sums, {"a.counts", {1.5f}}}), "");
  EXPECT_NE(error("imatrix", {{"a.in_sum2", {1, 2}, quant::Type::kF16}, count}), "");
}

// Sums by the side of what the collector does.
struct Naive : engine::InputObserver {
  void OnInput(int64_t layer, std::span<const model::Slot> readers, int64_t rows, int64_t k,
               const float* x) override {
    for (const model::Slot slot : readers) {
      const auto& row = model::TensorTable()[static_cast<size_t>(slot)];
      auto& [squares, count] = sums[TensorName(row, layer)];
      squares.resize(static_cast<size_t>(k));
      count += rows;
      for (int64_t i = 0; i < rows * k; ++i)
        squares[static_cast<size_t>(i % k)] += std::pow(static_cast<double>(x[i]), 2);
    }
  }
  std::map<std::string, std::pair<std::vector<double>, int64_t>> sums;
};

TEST(ImportanceTest, OfAModel) {
  engine::Runtime runtime(2);
  const auto model = engine::Model::Load(testing::WriteTinyModel({.arch = "llama"}), &runtime);
  const text::Tokenizer tokenizer = model::MakeTokenizer(model->file());
  engine::Executor executor(model);
  const int64_t size = 600;  // more than is computed at once
  engine::Session session(model, {size, kernels::KvType::kF16, kernels::KvType::kF16});
  const text::TextChunks chunks(tokenizer, std::string(700, 'a') + std::string(600, 'b'),
                                {.size = size});
  ImportanceCollector collector(runtime.pool());
  Calibrate(chunks, false, &executor, &session, &collector, nullptr);
  const Importance importance = collector.Finish("model", {{"text"}, 2, 600});
  Naive naive;
  Calibrate(chunks, false, &executor, &session, &naive, nullptr);
  ASSERT_EQ(importance.sums().size(), 14u);  // of two layers
  ASSERT_EQ(naive.sums.size(), 14u);
  for (const auto& [name, expected] : naive.sums) {
    EXPECT_EQ(expected.second, 2 * size);
    EXPECT_EQ(importance.sums().at(name).counts, (Floats{1200})) << name;
    const std::span<const float> means = importance.Find(name);
    ASSERT_EQ(means.size(), expected.first.size());
    for (size_t i = 0; i < means.size(); ++i)
      EXPECT_NEAR(means[i], expected.first[i] / 1200, 1e-5 * expected.first[i] / 1200);
  }
  ImportanceCollector with_output(runtime.pool());
  Calibrate(chunks, true, &executor, &session, &with_output, nullptr);
  const Importance more = with_output.Finish("model", {{"text"}, 2, 600});
  EXPECT_EQ(more.sums().size(), 15u);
  EXPECT_EQ(more.sums().at("token_embd.weight").counts, (Floats{1200}));
}

// Tensors on their way into a file are quantized by it as those of a file are.
TEST(ImportanceTest, OfTensorsOnTheirWay) {
  const format::GgufFile file =
      format::GgufFile::Open(testing::WriteTinyModel({.arch = "llama", .type = quant::Type::kF32}));
  std::map<std::string, Importance::Sums> sums;
  std::mt19937 rng(8);
  std::vector<format::TensorSource> sources;
  for (const format::GgufTensor& tensor : file.tensors()) {
    sources.push_back(RowsOf(tensor, {}));
    if (tensor.num_dims == 1) continue;
    Importance::Sums& of_one = sums[tensor.name];
    for (int64_t i = 0; i < tensor.dims[0]; ++i)
      of_one.squares.push_back(static_cast<float>(1 + rng() % 1000));
    of_one.counts = {1};
  }
  const Importance importance("imatrix", sums, {});
  QuantizeOptions options;
  options.recipe = &FindRecipe("Q4_0");
  options.importance = &importance;
  ThreadPool pool(2);
  const testing::TempFolder folder;
  QuantizeFile(file, PlanQuantization(file, options), options, folder / "whole.gguf",
               kernels::Kernels(), &pool, nullptr);
  const auto data_of = [&](const Importance* used) {
    std::vector<Fallback> fallbacks;
    const auto targets =
        RecipeTargets(*options.recipe, sources, kernels::Kernels(), &fallbacks, used);
    format::GgufWriter writer(folder / "streamed.gguf");
    SetQuantizedMetadata(file, options, &writer);
    format::StreamTensors(sources, targets, &writer, &pool, nullptr);
    writer.Finish();
    return testing::ReadFile(folder / "streamed.gguf");
  };
  EXPECT_EQ(data_of(&importance), testing::ReadFile(folder / "whole.gguf"));
  EXPECT_NE(data_of(nullptr), testing::ReadFile(folder / "whole.gguf"));

  sums.begin()->second.squares.push_back(1);
  const Importance of_another("imatrix", sums, {});
  EXPECT_THROW(data_of(&of_another), Error);
}

TEST(ImportanceTest, InputsThatAreNotFinite) {
  engine::Runtime runtime(1);
  ImportanceCollector collector(runtime.pool());
  const float x[] = {1, INFINITY};
  const model::Slot slot = model::Slot::kFfnDown;
  collector.OnInput(3, {&slot, 1}, 1, 2, x);
  try {
    collector.Finish("model.gguf", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("blk.3.ffn_down.weight"), std::string::npos);
  }
}

}  // namespace
}  // namespace slm::compress
