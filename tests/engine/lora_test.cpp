// Adapters in the forward pass: as if their products were in the weights, and only for the sessions
// that have them.
#include "engine/lora.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "engine/executor.h"
#include "format/gguf_writer.h"
#include "kernels/table.h"
#include "support/floats.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::engine {
namespace {

using model::LoraMatrix;
using testing::Values;

constexpr int64_t kRank = 5;
constexpr float kScale = 0.5f;

std::vector<int32_t> RandomIds(size_t n, std::mt19937& rng) {
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(rng() % testing::kTinyVocab);
  return ids;
}

// Of every matrix that the file has, and of the output.
model::Lora RandomLora(const Model& model, bool is_dora, std::mt19937& rng) {
  const model::LoraTargets targets(model.file(), model.hparams());
  model::Lora lora;
  for (const model::TensorRow& row : model::TensorTable()) {
    if (!model::LoraTargets::IsTarget(row.slot)) continue;
    for (int64_t layer = 0; layer < (row.is_layer ? model.hparams().layers : 1); ++layer) {
      const bool is_output = row.slot == model::Slot::kOutput;
      if (!is_output && !model.file().Find(model::TensorName(row, layer))) continue;
      LoraMatrix matrix = targets.Get("lora", row.slot, layer);
      matrix.rank = kRank;
      matrix.scale = kScale;
      matrix.a = MakeFloats(Values::kNormal, static_cast<size_t>(kRank * matrix.in), rng);
      matrix.b = MakeFloats(Values::kNormal, static_cast<size_t>(matrix.out * kRank), rng);
      for (float& x : matrix.a) x *= 0.1f;
      for (float& x : matrix.b) x *= 0.1f;
      if (is_dora) {
        matrix.magnitude = MakeFloats(Values::kNormal, static_cast<size_t>(matrix.out), rng);
        for (float& x : matrix.magnitude) x = 1 + std::fabs(x);
      }
      lora.matrices.push_back(std::move(matrix));
    }
  }
  return lora;
}

// A copy of a model in float32 with its adapter in the weights.
std::string Merge(const Model& model, const model::Lora& lora, const testing::TempFolder& folder) {
  const format::GgufFile& file = model.file();
  const std::string path = folder / "merged.gguf";
  format::GgufWriter out(path);
  out.CopyAll(file.metadata());
  struct Tensor {
    std::string name;
    std::vector<float> values;
  };
  std::vector<Tensor> tensors;
  const auto add = [&](const std::string& name, const format::GgufTensor& from) {
    std::vector<float> values(static_cast<size_t>(from.elements));
    std::memcpy(values.data(), from.data.data(), from.bytes());
    for (const LoraMatrix& m : lora.matrices) {
      if (model::TensorName(model::TensorTable()[static_cast<size_t>(m.slot)], m.layer) != name)
        continue;
      for (int64_t row = 0; row < m.out; ++row) {
        float* w = &values[static_cast<size_t>(row * m.in)];
        double squares = 0;
        for (int64_t i = 0; i < m.in; ++i) {
          double sum = 0;
          for (int64_t r = 0; r < m.rank; ++r)
            sum += static_cast<double>(m.b[static_cast<size_t>(row * m.rank + r)]) *
                   static_cast<double>(m.a[static_cast<size_t>(r * m.in + i)]);
          w[i] += static_cast<float>(sum * static_cast<double>(kScale));
          squares += static_cast<double>(w[i]) * static_cast<double>(w[i]);
        }
        if (m.magnitude.empty()) continue;
        const auto factor = static_cast<float>(
            static_cast<double>(m.magnitude[static_cast<size_t>(row)]) / std::sqrt(squares));
        for (int64_t i = 0; i < m.in; ++i) w[i] *= factor;
      }
    }
    out.Declare(name, quant::Type::kF32,
                std::span(from.dims).first(static_cast<size_t>(from.num_dims)));
    tensors.push_back({name, std::move(values)});
  };
  for (const format::GgufTensor& tensor : file.tensors()) add(tensor.name, tensor);
  if (!file.Find("output.weight")) add("output.weight", file.Get("token_embd.weight"));
  for (const Tensor& tensor : tensors)
    out.Append({reinterpret_cast<const uint8_t*>(tensor.values.data()), 4 * tensor.values.size()});
  out.Finish();
  return path;
}

struct Param {
  std::string arch;
  bool is_dora;
};

class LoraTest : public ::testing::TestWithParam<Param> {
 protected:
  static SessionOptions Options(std::shared_ptr<const Lora> lora) {
    SessionOptions options;
    options.context = 256;
    options.k_type = options.v_type = kernels::KvType::kF32;
    if (lora) options.loras = {std::move(lora)};
    return options;
  }
  static std::vector<float> Logits(const std::shared_ptr<const Model>& model,
                                   std::shared_ptr<const Lora> lora, std::span<const int32_t> ids) {
    Session session(model, Options(std::move(lora)));
    Executor executor(model);
    const std::span<const float> logits = executor.Extend(&session, ids);
    return {logits.begin(), logits.end()};
  }
};

TEST_P(LoraTest, IsAsIfMerged) {
  for (const kernels::KernelTable* table : kernels::AvailableTables()) {
    std::mt19937 rng(71);
    Runtime runtime(2, *table);
    const auto model = Model::Load(testing::WriteTinyModel({.arch = GetParam().arch}), &runtime);
    const model::Lora lora = RandomLora(*model, GetParam().is_dora, rng);
    const testing::TempFolder folder;
    const auto merged = Model::Load(Merge(*model, lora, folder), &runtime);
    const std::vector<int32_t> ids = RandomIds(40, rng);
    const std::vector<float> expected = Logits(merged, nullptr, ids);
    const std::vector<float> got = Logits(model, std::make_shared<Lora>(*model, lora, 1.0f), ids);
    const std::vector<float> plain = Logits(model, nullptr, ids);
    double error = 0, effect = 0, power = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const auto e = static_cast<double>(expected[i]);
      error += std::pow(static_cast<double>(got[i]) - e, 2);
      effect += std::pow(static_cast<double>(plain[i]) - e, 2);
      power += e * e;
    }
    EXPECT_LT(error, 1e-8 * power) << table->isa;
    EXPECT_GT(effect, 1e-2 * power) << "the adapter does nothing";
  }
}

TEST_P(LoraTest, BatchesAndChunksDoNotChangeABit) {
  std::mt19937 rng(72);
  Runtime runtime(2);
  const auto model = Model::Load(
      testing::WriteTinyModel({.arch = GetParam().arch, .type = quant::Type::kQ4_0}), &runtime);
  const auto one =
      std::make_shared<Lora>(*model, RandomLora(*model, GetParam().is_dora, rng), 1.0f);
  const auto other =
      std::make_shared<Lora>(*model, RandomLora(*model, GetParam().is_dora, rng), -0.5f);
  const std::vector<std::shared_ptr<const Lora>> loras = {one, nullptr, other};
  std::vector<std::vector<int32_t>> ids;
  std::vector<std::vector<float>> alone;
  for (const auto& lora : loras) {
    ids.push_back(RandomIds(20 + rng() % 20, rng));
    alone.push_back(Logits(model, lora, ids.back()));
  }
  Executor executor(model);
  std::vector<Session> sessions;
  for (const auto& lora : loras) sessions.emplace_back(model, Options(lora));
  std::vector<std::vector<float>> together(loras.size());
  const auto forward = [&](size_t first, size_t last) {
    std::vector<BatchItem> batch;
    for (size_t i = 0; i < loras.size(); ++i) {
      const std::span<const int32_t> all = ids[i];
      const size_t end = std::min(last, all.size());
      batch.push_back({&sessions[i], all.subspan(first, end - first), 1});
    }
    executor.Forward(batch, [&](size_t item, int64_t, std::span<const float> logits) {
      together[item].assign(logits.begin(), logits.end());
    });
  };
  forward(0, 7);
  forward(7, 100);
  for (size_t i = 0; i < loras.size(); ++i)
    EXPECT_TRUE(testing::SameBits(together[i], alone[i])) << "session " << i;
  EXPECT_FALSE(testing::SameBits(Logits(model, one, ids[1]), alone[1]))
      << "an adapter does nothing";
}

INSTANTIATE_TEST_SUITE_P(Families, LoraTest,
                         ::testing::Values(Param{"llama", false}, Param{"llama", true},
                                           Param{"gemma3", false}, Param{"gemma3", true}),
                         [](const auto& test) {
                           return test.param.arch + (test.param.is_dora ? "_dora" : "_lora");
                         });

}  // namespace
}  // namespace slm::engine
