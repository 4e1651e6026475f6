// Quantizes a model file: every tensor in turn, from the types it has to those of a recipe.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "compress/encode_tensor.h"
#include "compress/recipe.h"
#include "format/gguf.h"

namespace slm {
class Progress;
class ThreadPool;
namespace format {
class GgufWriter;
}
}  // namespace slm

namespace slm::compress {

class Importance;

struct TensorPlan {
  const format::GgufTensor* tensor = nullptr;
  quant::Type type = quant::Type::kF32;    // in the new file
  quant::Type wanted = quant::Type::kF32;  // differs when its rows do not divide by the block

  size_t bytes() const;  // in the new file
};

struct QuantizeOptions {
  const Recipe* recipe = nullptr;  // an automatic mix is noted under the one that is nearest
  std::vector<TypeOverride> overrides;
  const Importance* importance = nullptr;  // null: all columns count alike
  std::string importance_file;             // noted in the new file
  bool allows_non_finite = false;
};

// Which type every tensor gets, in the order of the file. Throws kBadInput when an importance
// matrix does not belong to the model, kUsage when an override matches no tensor.
std::vector<TensorPlan> PlanQuantization(const format::GgufFile& file,
                                         const QuantizeOptions& options);

// Tensors of a quantized type that get another one, not a float type: their error adds to that of
// before.
std::vector<const TensorPlan*> Requantized(std::span<const TensorPlan> plan);

// A tensor that got another type, as its rows do not divide by the block of the wanted one.
struct Fallback {
  std::string name;
  int64_t row = 0;  // elements
  quant::Type wanted, type;
};
std::vector<Fallback> Fallbacks(std::span<const TensorPlan> plan);
// In words, a line for tensors that are alike.
std::vector<std::string> Describe(std::span<const Fallback> fallbacks);

// Matrices of the layers that get a quantized type and of which the importance matrix, if there is
// one, knows nothing. (The embedding and the output matrix are rarely in one.)
std::vector<const TensorPlan*> WithoutImportance(std::span<const TensorPlan> plan,
                                                 const QuantizeOptions& options);

// Writes `path`. Throws kBadInput naming a tensor with NaN or infinity, kUsage when `path` is one
// of the files read, kFailed when the disk is full.
void QuantizeFile(const format::GgufFile& file, std::span<const TensorPlan> plan,
                  const QuantizeOptions& options, const std::string& path,
                  const kernels::KernelTable& kernels, ThreadPool* pool, Progress* progress);

// What a recipe makes of tensors on their way into a file. Adds to `fallbacks`. `importance` may be
// null, and must outlive the result; throws kBadInput when it does not belong to the model.
std::vector<format::TensorTarget> RecipeTargets(const Recipe& recipe,
                                                std::span<const format::TensorSource> sources,
                                                const kernels::KernelTable& kernels,
                                                std::vector<Fallback>* fallbacks,
                                                const Importance* importance = nullptr);

// The steps of QuantizeFile, for who goes through the tensors in another order.
void SetQuantizedMetadata(const format::GgufFile& file, const QuantizeOptions& options,
                          format::GgufWriter* writer);
void DeclareTensor(const TensorPlan& entry, format::GgufWriter* writer);
// A tensor's blocks, piece by piece.
void EncodePlain(const TensorPlan& entry, const QuantizeOptions& options,
                 const kernels::KernelTable& kernels, ThreadPool* pool,
                 const std::function<void(std::span<const uint8_t>)>& sink);
// The rows of a tensor; reading them throws as QuantizeFile does for NaN and infinity.
format::TensorSource RowsOf(const format::GgufTensor& tensor, const QuantizeOptions& options);

}  // namespace slm::compress
