// The automatic mix: a type for every tensor, within a size or a loss, from measured sensitivities.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "compress/quantizer.h"
#include "compress/sensitivity.h"

namespace slm::compress {

// One of them.
struct AutoLimit {
  std::optional<uint64_t> file_bytes;
  std::optional<double> kld;    // mean KL divergence, nats
  uint64_t metadata_bytes = 0;  // the most that the new file's metadata are longer
};

struct AutoTypes {
  std::vector<TensorPlan> plan;
  double expected_kld = 0;
  const Recipe* nearest = nullptr;  // by what most weights have
};

// Overrides pin the types of the tensors they name. Throws kBadInput when even the smallest types
// are larger than the limit.
AutoTypes ChooseTypes(const format::GgufFile& file,
                      std::span<const TensorSensitivity> sensitivities,
                      std::span<const TypeOverride> overrides, const AutoLimit& limit);

}  // namespace slm::compress
