// What a model is by its sizes alone: of a file, or of a shape in the catalog and the types that a
// recipe gives its tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compress/recipe.h"
#include "model/hparams.h"
#include "plan/catalog.h"
#include "quant/type.h"

namespace slm::format {
class GgufFile;
}

namespace slm::plan {

struct SizedTensor {
  std::string name;
  quant::Type type;
  int64_t rows, k;  // of vectors: 1 row

  uint64_t bytes() const;
};

struct ModelSize {
  std::string name;
  std::string type;  // "Q4_K_M"
  std::string architecture;
  model::Hparams hparams;
  std::vector<SizedTensor> tensors;
  uint64_t file_bytes = 0;  // of a shape: the tensors alone
  bool is_file = false;

  uint64_t parameters() const;
  uint64_t tensor_bytes() const;
};

// Throws as model::FindFamily and model::ReadHparams do.
ModelSize SizeOf(const format::GgufFile& file);

// Throws kUnsupported for a model whose shape is not known, or whose architecture slm does not run.
ModelSize SizeOf(const CatalogModel& model, const compress::Recipe& recipe);

}  // namespace slm::plan
