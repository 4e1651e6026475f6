// Models by their shapes alone are what files of these shapes are.
#include "plan/shape_model.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "plan/catalog.h"

namespace slm::plan {
namespace {

TEST(ShapeModel, LoadsEveryShapeOfTheCatalogWithoutMemory) {
  engine::Runtime runtime(1);
  int count = 0;
  for (const CatalogModel& entry : FindModels({.has_all = true})) {
    if (!entry.record->contains("shape") || !entry.record->at("shape").contains("architecture"))
      continue;
    for (const char* recipe : {"q4_k_m", "f16"}) {
      const ModelSize size = SizeOf(entry, compress::FindRecipe(recipe));
      [[maybe_unused]] const uint64_t before = ResidentBytes();
      const ShapeModel shape(size, &runtime);
#ifndef SLM_SANITIZED  // sanitizers take memory of their own
      EXPECT_LT(ResidentBytes(), before + (16u << 20)) << entry.id;
#endif
      const model::Hparams &h = shape.model()->hparams(), &expected = size.hparams;
      EXPECT_EQ(h.layers, expected.layers);
      EXPECT_EQ(h.d_model, expected.d_model);
      EXPECT_EQ(h.ffn, expected.ffn);
      EXPECT_EQ(h.kv_heads, expected.kv_heads);
      EXPECT_EQ(h.head_dim, expected.head_dim);
      EXPECT_EQ(h.vocab, expected.vocab);
      EXPECT_EQ(h.rope_dim, expected.rope_dim);
      for (int64_t layer = 0; layer < h.layers; ++layer)
        EXPECT_EQ(h.IsWindowLayer(layer), expected.IsWindowLayer(layer)) << entry.id << layer;
      ++count;
    }
  }
  EXPECT_GE(count, 50);
}

}  // namespace
}  // namespace slm::plan
