// Any bytes: BaseLogits::Parse gives an Error, or a file of which every row gives an Error or ln p.
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "eval/base_logits.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto base = slm::eval::BaseLogits::Parse({data, size});
    std::vector<float> row(static_cast<size_t>(base.vocab()));
    const int64_t scored = base.chunk_size() - 1 - base.chunk_size() / 2;
    for (int64_t chunk = 0; chunk < base.chunks(); ++chunk)
      for (int64_t r = 0; r < scored; ++r) {
        try {
          base.ReadRow(chunk, r, row);
          for (const float value : row) SLM_CHECK(std::isfinite(value) && value < 0.01f);
        } catch (const slm::Error&) {
        }
      }
    for (const int32_t id : base.ids()) SLM_CHECK(id >= 0 && id < base.vocab());
  } catch (const slm::Error&) {
  }
  return 0;
}
