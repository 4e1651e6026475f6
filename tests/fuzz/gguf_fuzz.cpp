// Any bytes: GgufFile::Parse gives an Error, or a file of which everything can be used.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "format/gguf.h"

namespace {

using slm::format::GgufFile;
using slm::format::GgufMetadata;
using slm::format::GgufTensor;

// A getter may refuse what it finds, but only in this way.
template <class Getter>
void Try(Getter getter) {
  try {
    getter();
  } catch (const slm::Error&) {
  }
}

void WalkMetadata(const GgufMetadata& metadata) {
  for (const auto& [key, value] : metadata.entries()) {
    SLM_CHECK(metadata.Find(key) == &value);
    SLM_CHECK(!value.TypeText().empty());
    SLM_CHECK(value.Items(100).size() == std::min<uint64_t>(value.count, 100));
    const std::string_view k = key;
    Try([&] { metadata.GetUint(k); });
    Try([&] { metadata.GetInt(k); });
    Try([&] { metadata.GetFloat(k); });
    Try([&] { metadata.GetBool(k); });
    Try([&] { metadata.GetString(k); });
    Try([&] { metadata.GetInts(k); });
    Try([&] { metadata.GetFloats(k); });
    Try([&] { metadata.GetBools(k); });
    Try([&] { metadata.GetStrings(k); });
  }
}

void WalkTensor(const GgufFile& file, const GgufTensor& tensor, std::span<const uint8_t> all) {
  SLM_CHECK(file.Find(tensor.name) == &tensor);
  SLM_CHECK(tensor.offset <= all.size() && tensor.bytes() <= all.size() - tensor.offset);
  SLM_CHECK(tensor.data.data() == all.data() + tensor.offset);
  const slm::quant::TypeTraits& traits = slm::quant::Traits(tensor.type);
  const auto blocks = static_cast<size_t>(tensor.elements / traits.block_size);
  SLM_CHECK(blocks > 0 && blocks * traits.block_bytes == tensor.bytes());
  SLM_CHECK(tensor.row_bytes() * static_cast<size_t>(tensor.elements / tensor.dims[0]) ==
            tensor.bytes());
  std::vector<float> values(static_cast<size_t>(traits.block_size));
  traits.decode(tensor.data.data(), values.data(), traits.block_size);
  traits.decode(tensor.data.data() + (blocks - 1) * traits.block_bytes, values.data(),
                traits.block_size);
  file.Release(tensor);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const GgufFile file = GgufFile::Parse({data, size});
    WalkMetadata(file.metadata());
    for (const GgufTensor& tensor : file.tensors()) WalkTensor(file, tensor, {data, size});
  } catch (const slm::Error&) {
  }
  return 0;
}
