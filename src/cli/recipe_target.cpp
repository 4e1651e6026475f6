#include "cli/recipe_target.h"

#include "kernels/table.h"

namespace slm::cli {

convert::GgufTarget FindTarget(const std::string& name,
                               std::vector<compress::Fallback>* fallbacks) {
  const compress::Recipe& recipe = compress::FindRecipe(name);
  return {recipe.file_type, [&recipe, fallbacks](std::span<const format::TensorSource> sources) {
            return compress::RecipeTargets(recipe, sources, kernels::Kernels(), fallbacks);
          }};
}

}  // namespace slm::cli
