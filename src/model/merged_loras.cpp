#include "model/merged_loras.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/hash.h"

namespace slm::model {
namespace {

uint64_t Hash(const std::vector<float>& values, uint64_t seed) {
  return Hash64({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)},
                seed);
}

}  // namespace

std::string DigestOf(const Lora& lora) {
  uint64_t digest = 0;  // a sum: files have their matrices in different orders
  for (const LoraMatrix& matrix : lora.matrices) {
    const std::string name =
        TensorName(TensorTable()[static_cast<size_t>(matrix.slot)], matrix.layer);
    const uint64_t place = Hash64({reinterpret_cast<const uint8_t*>(name.data()), name.size()}, 0);
    // A file without a place for the scale has it in B.
    std::vector<float> b = matrix.b;
    for (float& x : b) x *= matrix.scale;
    digest += Hash(matrix.magnitude, Hash(b, Hash(matrix.a, place)));
  }
  return fmt::format("{:016x}", digest);
}

std::vector<std::string> MergedLoras(const format::GgufMetadata& metadata) {
  const auto found = metadata.FindStrings(kMergedLorasKey);
  return found ? std::vector<std::string>(found->begin(), found->end())
               : std::vector<std::string>();
}

void CheckNotMerged(const Lora& lora, const format::GgufFile& base) {
  const std::vector<std::string> merged = MergedLoras(base.metadata());
  if (std::find(merged.begin(), merged.end(), DigestOf(lora)) != merged.end())
    throw Error(Code::kBadInput,
                "{}: this adapter is merged into {} already, and would count twice", lora.path,
                base.path());
}

}  // namespace slm::model
