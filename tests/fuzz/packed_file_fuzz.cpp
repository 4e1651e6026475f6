// Any bytes: ReadPackedHeader gives an Error, or a header that is written as the same bytes and
// whose matrices lie inside the file. The input is tried as a file, and as what follows a start
// that is right, as few inputs have the hash of the rest.
#include <cstdint>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/hash.h"
#include "format/packed_file.h"

namespace {

void Try(std::span<const uint8_t> bytes) {
  try {
    const slm::format::PackedHeader header = slm::format::ReadPackedHeader("fuzz", bytes);
    const std::string again = slm::format::WritePackedHeader(header);
    SLM_CHECK(again.size() <= bytes.size());
    SLM_CHECK(std::memcmp(again.data(), bytes.data(), again.size()) == 0);
    for (const slm::format::PackedMatrix& m : header.matrices)
      SLM_CHECK(m.offset >= again.size() && m.offset <= header.file_bytes &&
                m.bytes <= header.file_bytes - m.offset);
  } catch (const slm::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  Try(bytes);
  std::string file = "SLMPANL1";
  for (const uint64_t word : {uint64_t{size}, slm::Hash64(bytes)})
    file.append(reinterpret_cast<const char*>(&word), sizeof word);
  file.append(reinterpret_cast<const char*>(data), size);
  Try({reinterpret_cast<const uint8_t*>(file.data()), file.size()});
  return 0;
}
