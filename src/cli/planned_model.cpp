#include "cli/planned_model.h"

#include <filesystem>

#include "base/error.h"
#include "cli/loaded_model.h"
#include "format/gguf.h"
#include "plan/advice.h"

namespace slm::cli {
plan::ModelSize PlannedModel(const std::string& name) {
  std::error_code problem;
  const auto of_file = [](const std::string& path) {
    return plan::SizeOf(format::GgufFile::Open(path));
  };
  if (std::filesystem::exists(name, problem)) return of_file(ResolveModelPath(name));
  std::string path;
  try {
    path = ResolveModelPath(name);
  } catch (const Error&) {
    // No model that is here. What is no path either is one of the catalog, or near one.
    if (name.find('/') != std::string::npos || name.ends_with(".gguf")) throw;
    const size_t colon = name.find(':');
    return plan::SizeOf(plan::FindCatalogModel(name.substr(0, colon)),
                        compress::FindRecipe(colon == std::string::npos ? plan::kUsualType
                                                                        : name.substr(colon + 1)));
  }
  return of_file(path);
}

}  // namespace slm::cli
