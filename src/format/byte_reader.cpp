#include "format/byte_reader.h"

namespace slm::format {

std::string Quoted(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string out = "'";
  for (const char c : text.substr(0, kMost)) {
    if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
  }
  out += text.size() > kMost ? "...'" : "'";
  return out;
}

void ByteReader::FailWith(Code code, size_t offset, const std::string& message) const {
  throw Error(code, "{}: {} at byte {}: {}", path_, subject_, offset, message);
}

void ByteReader::FailShort(uint64_t count, const char* what) const {
  Fail(offset_, "expected {} ({} bytes), got the end of the file after {} bytes", what, count,
       remaining());
}

}  // namespace slm::format
