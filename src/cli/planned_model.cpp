#include "cli/planned_model.h"

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "cli/loaded_model.h"
#include "format/gguf.h"

namespace slm::cli {
namespace {

constexpr const char* kUsualType = "Q4_K_M";

std::optional<plan::CatalogModel> FindInCatalog(const std::string& id) {
  try {
    return plan::FindCatalogModel(id);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

plan::ModelSize PlannedModel(const std::string& name) {
  std::error_code problem;
  if (!std::filesystem::exists(name, problem)) {
    const size_t colon = name.find(':');
    if (const auto model = FindInCatalog(name.substr(0, colon)))
      return plan::SizeOf(
          *model,
          compress::FindRecipe(colon == std::string::npos ? kUsualType : name.substr(colon + 1)));
  }
  return plan::SizeOf(format::GgufFile::Open(ResolveModelPath(name)));
}

}  // namespace slm::cli
