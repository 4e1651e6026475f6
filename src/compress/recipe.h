// Which type each tensor of a model gets. The recipes, their names and the fallbacks are those of
// llama.cpp's quantizer (src/llama-quant.cpp, 2026-10), so that a name means the same file size in
// both.
#pragma once

#include <cstdint>
#include <regex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/gguf.h"
#include "format/tensor_stream.h"
#include "quant/type.h"

namespace slm::compress {

struct Recipe {
  const char* name;    // "Q4_K_M"
  quant::Type base;    // what most matrices get
  uint32_t file_type;  // general.file_type
};

// In the order of size, smallest first; the float types last.
std::span<const Recipe> AllRecipes();

// In any case; NF4, too, which is not among those. Throws kUsage, listing the known ones.
const Recipe& FindRecipe(std::string_view name);

// What a recipe needs to know of a model beside the tensor.
struct ModelFacts {
  int64_t layers = 0;
  int64_t heads_per_kv_head = 1;
  bool has_output = false;      // else the embedding is the output, too
  bool has_importance = false;  // an importance matrix is used
};

// From names and shapes: of a file, or of tensors on their way into one.
struct TensorShape {
  std::string_view name;
  int64_t rows, columns;
};
ModelFacts ReadModelFacts(std::span<const TensorShape> tensors);
ModelFacts ReadModelFacts(const format::GgufFile& file);
ModelFacts ReadModelFacts(std::span<const format::TensorSource> sources);

// A type for the tensors whose name the expression finds something in.
struct TypeOverride {
  std::string text;
  std::regex pattern;
  quant::Type type;
  // From "PATTERN=TYPE". Throws kUsage.
  static TypeOverride Parse(const std::string& text);
};

// Throws kUsage, naming an override that matches none of the tensors that are quantized.
void CheckOverrides(const format::GgufFile& file, std::span<const TypeOverride> overrides);

struct TypeChoice {
  quant::Type type;
  quant::Type wanted;  // differs when rows do not divide by its block
};

// N of "blk.N.role.weight", -1 outside of layers.
int64_t LayerOfTensor(std::string_view name);

// Matrices are quantized; vectors, norms and what else is small stay as they are.
bool IsQuantized(std::string_view name, int num_dims);

// The type of a tensor with rows of `row_elements`, IsQuantized. The first override that matches
// wins over the recipe.
TypeChoice ChooseType(const Recipe& recipe, const ModelFacts& facts,
                      std::span<const TypeOverride> overrides, const std::string& name,
                      int64_t row_elements);

// `wanted`, or the type that stands in for it where rows of that many elements do not divide by its
// block.
quant::Type FallbackType(quant::Type wanted, int64_t row_elements);

}  // namespace slm::compress
