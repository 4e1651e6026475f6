// Sizes that follow from published shapes, against those that their publishers and files have.
#include "plan/model_size.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "engine/kv_cache.h"
#include "plan/facts.h"

namespace slm::plan {
namespace {

ModelSize Size(const char* id, const char* recipe) {
  return SizeOf(FindCatalogModel(id), compress::FindRecipe(recipe));
}

// Without the tables of rotary factors, which are no weights.
TEST(ModelSize, HasTheParametersOfTheCatalog) {
  int count = 0;
  for (const CatalogModel& model : FindModels({.has_all = true})) {
    if (!model.record->contains("shape") || !model.record->at("shape").contains("architecture"))
      continue;
    ModelSize size = SizeOf(model, compress::FindRecipe("f16"));
    std::erase_if(size.tensors, [](const auto& t) { return t.name.starts_with("rope_"); });
    EXPECT_EQ(size.parameters(), model.parameters) << model.id;
    ++count;
  }
  EXPECT_GE(count, 25);
}

// Files whose exact sizes their publishers state hold the tensors, a vocabulary and a directory.
TEST(ModelSize, IsThatOfPublishedFiles) {
  int count = 0;
  for (const CatalogModel& model : FindModels({.has_all = true})) {
    if (!model.record->contains("files") || !model.record->contains("shape") ||
        !model.record->at("shape").contains("architecture"))
      continue;
    for (const auto& file : model.record->at("files")) {
      if (!file.value("exact", false)) continue;
      const std::string type = file.at("quantization");
      try {
        compress::FindRecipe(type);
      } catch (const Error&) {
        continue;  // of other quantizers
      }
      const ModelSize size = SizeOf(model, compress::FindRecipe(type));
      const auto published = file.at("bytes").get<double>();
      // Some Qwen 3 files hold the embedding a second time, as their output.
      if (model.id.starts_with("qwen3-")) continue;
      const double share = static_cast<double>(size.file_bytes) / published;
      EXPECT_GT(share, 0.99) << model.id << " " << type;
      EXPECT_LT(share, 1) << model.id << " " << type;
      ++count;
    }
  }
  EXPECT_GT(count, 3);
}

// Pages are 128 bytes a head longer than the keys and values that they hold (ops/kv_layout.h).
TEST(ModelSize, KeysAndValuesAreThoseWorkedByHand) {
  using kernels::KvType;
  const auto bytes = [](const char* id, int64_t positions) {
    return engine::KvCache::BytesFor(Size(id, "q4_k_m").hparams, KvType::kF16, KvType::kF16,
                                     positions);
  };
  // 2 (keys, values) * 16 layers * 8 heads * 64 * 2 bytes = 32,768 a token; 128 pages.
  EXPECT_EQ(bytes("llama-3.2-1b", 8192), 8192u * 32'768 + 128u * 16 * 8 * 128);
  // 2 * 40 * 10 * 128 * 2 = 204,800 a token; 32 pages.
  EXPECT_EQ(bytes("phi-4", 2048), 2048u * 204'800 + 32u * 40 * 10 * 128);
}

}  // namespace
}  // namespace slm::plan
