// Any bytes as an adapter of PEFT for a small model, its config up to the first zero byte and its
// tensors behind: an Error, or an adapter that fits the model.
#include <algorithm>
#include <cstdint>

#include "convert/peft_adapter.h"
#include "fuzz/lora_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const slm::model::LoraTargets targets = slm::fuzz::Targets();
  const uint8_t* end = std::find(data, data + size, 0);
  const std::string_view config(reinterpret_cast<const char*>(data),
                                static_cast<size_t>(end - data));
  if (end == data + size) return 0;
  try {
    const auto tensors = slm::format::Safetensors::Parse({end + 1, data + size});
    slm::fuzz::CheckLora(slm::convert::ParsePeftLora("fuzz", config, tensors, targets));
  } catch (const slm::Error&) {
  }
  return 0;
}
