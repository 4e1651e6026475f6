#include "convert/recipe_target.h"

#include "compress/quantizer.h"
#include "kernels/table.h"

namespace slm::convert {

GgufTarget RecipeTarget(std::string_view name) {
  const compress::Recipe& recipe = compress::FindRecipe(name);
  return {recipe.file_type, [&recipe](std::span<const format::TensorSource> sources) {
            std::vector<compress::Fallback> ignored;
            return compress::RecipeTargets(recipe, sources, kernels::Kernels(), &ignored);
          }};
}

}  // namespace slm::convert
