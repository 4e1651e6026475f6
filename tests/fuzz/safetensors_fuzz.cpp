// Any bytes, as a safetensors file and as the index of a sharded one: an Error, or tensors of which
// everything can be used.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "format/safetensors.h"
#include "format/safetensors_parse.h"

using slm::format::Safetensors;
using slm::format::SafetensorsTensor;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const Safetensors file = Safetensors::Parse({data, size});
    size_t bytes = 0;
    for (const SafetensorsTensor& tensor : file.tensors()) {
      SLM_CHECK(file.Find(tensor.name) == &tensor);
      SLM_CHECK(tensor.bytes() * 8 ==
                static_cast<size_t>(tensor.elements) * static_cast<size_t>(tensor.type->bits));
      bytes += tensor.bytes();
      if (!tensor.type->decode || tensor.elements == 0) continue;
      std::vector<float> values(static_cast<size_t>(tensor.elements));
      tensor.type->decode(tensor.data.data(), values.data(), tensor.elements);
    }
    SLM_CHECK(bytes <= size);
  } catch (const slm::Error&) {
  }
  try {
    slm::format::ParseSafetensorsIndex("fuzz", {reinterpret_cast<const char*>(data), size});
  } catch (const slm::Error&) {
  }
  return 0;
}
