// What each tensor costs in each type: the error of the type on its weights, times how much the
// model's predictions suffer from an error in that tensor, measured.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compress/importance.h"
#include "compress/probe.h"
#include "compress/type_search.h"

namespace slm {
class Progress;
}

namespace slm::compress {

struct TensorSensitivity {
  const format::GgufTensor* tensor = nullptr;
  // Mean KL divergence, in nats, when this tensor alone has probe_type.
  double probe_kld = 0;
  quant::Type probe_type = quant::Type::kF32;
  // Every type that its rows allow, and its own; cost is the expected mean KL divergence.
  std::vector<TypeOption> options;
};

// Every tensor that is quantized (IsQuantized) and whose rows divide by 32, those outside of layers
// first, with the types that it can have. Nothing is measured: costs are 0.
std::vector<TensorSensitivity> TypesToChooseFrom(const format::GgufFile& file);

// The same, measured. `probe` has not
// advanced yet and stands behind the last layer afterwards.
std::vector<TensorSensitivity> MeasureSensitivities(
    const std::shared_ptr<const engine::Model>& model, const Importance& importance, Probe* probe,
    Progress* progress);

}  // namespace slm::compress
