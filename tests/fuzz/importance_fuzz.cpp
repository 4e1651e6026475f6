// Any bytes: an Error, or importances that are finite and of every tensor.
#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "compress/importance.h"
#include "format/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file = slm::format::GgufFile::Parse({data, size});
    const auto importance = slm::compress::Importance::FromFile(file);
    for (const auto& [name, sums] : importance.sums()) {
      const std::span<const float> means = importance.Find(name);
      SLM_CHECK(means.size() == sums.squares.size() && !means.empty());
      for (const float mean : means) SLM_CHECK(mean >= 0 && std::isfinite(mean));
    }
  } catch (const slm::Error&) {
  }
  return 0;
}
