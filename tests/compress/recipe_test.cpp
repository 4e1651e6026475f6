// Recipes against what llama.cpp's quantizer chose, see bench/peers/make_recipe_golden.py.
#include "compress/recipe.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"

namespace slm::compress {
namespace {

TEST(Recipe, GivesTheTypesOfLlamaCpp) {
  std::ifstream golden("tests/golden/recipes.txt");
  ASSERT_TRUE(golden);
  ModelFacts facts;
  int64_t row = 0;
  int compared = 0;
  for (std::string line; std::getline(golden, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first == "#") continue;
    if (first == "case") {
      std::string arch;
      int64_t heads, kv_heads;
      int is_tied, has_importance;
      words >> arch >> facts.layers >> row >> heads >> kv_heads >> is_tied >> has_importance;
      facts.heads_per_kv_head = heads / kv_heads;
      facts.has_output = !is_tied;
      facts.has_importance = has_importance;
      continue;
    }
    const Recipe& recipe = FindRecipe(first);
    std::string role, types;
    words >> role >> types;
    std::istringstream list(types);
    std::string type;
    const bool is_layer = role != "token_embd" && role != "output";
    for (int64_t layer = 0; layer < (is_layer ? facts.layers : 1); ++layer) {
      if (layer == 0 || types.find(',') != std::string::npos) std::getline(list, type, ',');
      const std::string name =
          is_layer ? fmt::format("blk.{}.{}.weight", layer, role) : role + ".weight";
      ASSERT_TRUE(IsQuantized(name, 2));
      EXPECT_EQ(quant::Traits(ChooseType(recipe, facts, {}, name, row).type).name, type)
          << recipe.name << " " << name << " of " << facts.layers << " layers, rows of " << row;
      ++compared;
    }
  }
  EXPECT_GT(compared, 10000);
}

TEST(Recipe, NamesInAnyCaseAndOthersRefused) {
  EXPECT_STREQ(FindRecipe("q4_k_m").name, "Q4_K_M");
  EXPECT_THROW(FindRecipe("Q4_K"), Error);
  EXPECT_THROW(FindRecipe(""), Error);
}

TEST(Recipe, FirstOverrideThatMatchesWins) {
  const ModelFacts facts = {.layers = 8, .has_output = true};
  const TypeOverride overrides[] = {TypeOverride::Parse("blk\\.[0-3]\\.ffn_down=q8_0"),
                                    TypeOverride::Parse("ffn=q6_k"),
                                    TypeOverride::Parse("output=Q5_K")};
  const Recipe& recipe = FindRecipe("Q4_0");
  const auto choose = [&](const char* name, int64_t row) {
    return ChooseType(recipe, facts, overrides, name, row);
  };
  EXPECT_EQ(choose("blk.3.ffn_down.weight", 256).type, quant::Type::kQ8_0);
  EXPECT_EQ(choose("blk.4.ffn_down.weight", 256).type, quant::Type::kQ6_K);
  EXPECT_EQ(choose("blk.4.attn_q.weight", 256).type, quant::Type::kQ4_0);
  const TypeChoice fallen = choose("output.weight", 96);
  EXPECT_EQ(fallen.wanted, quant::Type::kQ5_K);
  EXPECT_EQ(fallen.type, quant::Type::kQ5_1);
  EXPECT_EQ(choose("output.weight", 100).type, quant::Type::kF16);
  for (const char* bad : {"", "=q4_0", "ffn_down", "ffn_down=", "ffn_down=q9", "(=q4_0"})
    EXPECT_THROW(TypeOverride::Parse(bad), Error) << bad;
}

TEST(Recipe, VectorsAndNormsStay) {
  EXPECT_FALSE(IsQuantized("blk.0.attn_norm.weight", 2));
  EXPECT_FALSE(IsQuantized("blk.0.attn_q.bias", 2));
  EXPECT_FALSE(IsQuantized("output_norm.weight", 1));
  EXPECT_FALSE(IsQuantized("rope_freqs.weight", 1));
}

}  // namespace
}  // namespace slm::compress
