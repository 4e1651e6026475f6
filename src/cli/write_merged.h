// A model with adapters in its weights, written as a recipe says.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/loras.h"
#include "compress/quantizer.h"

namespace slm {
class Progress;
class ThreadPool;
}  // namespace slm

namespace slm::cli {

// Of most weights of a file.
quant::Type CommonestType(const format::GgufFile& file);
bool IsQuantized(quant::Type type);

struct MergedFile {
  size_t requantized = 0;  // tensors that were quantized and are again
  std::vector<compress::Fallback> fallbacks;
};

// By the recipe and the importance of `options`. Without adapters it is the base that is quantized.
// Throws what train::MergedTensors, compress::RecipeTargets and format::StreamTensors do.
MergedFile WriteMerged(const format::GgufFile& base, std::span<const NamedLora> loras,
                       const compress::QuantizeOptions& options, const std::string& path,
                       ThreadPool* pool, Progress* progress);

}  // namespace slm::cli
