// Any bytes as a GGUF adapter of a small model: an Error, or an adapter that fits it.
#include <cstdint>

#include "fuzz/lora_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const slm::model::LoraTargets targets = slm::fuzz::Targets();
  try {
    const auto file = slm::format::GgufFile::Parse({data, size});
    slm::fuzz::CheckLora(slm::model::ReadGgufLora(file, targets));
  } catch (const slm::Error&) {
  }
  return 0;
}
