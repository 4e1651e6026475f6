#include "format/gguf_writer.h"

#include "base/error.h"

namespace slm::format {

void GgufWriter::WriteHeader() {
  if (header_written_) return;
  header_written_ = true;
  Write(Close());
  Pad();
}

void GgufWriter::Append(std::span<const uint8_t> data) {
  WriteHeader();
  if (data.empty()) return;
  SLM_CHECK(current_ < tensors().size());
  SLM_CHECK(data.size() <= tensors()[current_].bytes - current_written_);
  Write({reinterpret_cast<const char*>(data.data()), data.size()});
  current_written_ += data.size();
  if (current_written_ < tensors()[current_].bytes) return;
  Pad();
  ++current_;
  current_written_ = 0;
}

void GgufWriter::Finish() {
  WriteHeader();
  SLM_CHECK(current_ == tensors().size());
  file_.Finish();
}

void GgufWriter::Write(std::string_view bytes) {
  file_.Write(bytes.data(), bytes.size());
  file_bytes_ += bytes.size();
}

void GgufWriter::Pad() {
  const uint64_t padding = (alignment() - file_bytes_ % alignment()) % alignment();
  Write(std::string(static_cast<size_t>(padding), '\0'));
}

}  // namespace slm::format
