#include "eval/npy_writer.h"

#include <fmt/core.h>

namespace slm::eval {

NpyWriter::NpyWriter(const std::string& path, std::span<const int64_t> shape) : file_(path) {
  std::string head = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const int64_t n : shape) head += fmt::format("{}, ", n);
  head += ")}";
  constexpr size_t kAlignment = 64, kPrefix = 10;
  head.resize((kPrefix + head.size() + kAlignment) / kAlignment * kAlignment - kPrefix, ' ');
  head.back() = '\n';
  const auto size = static_cast<uint16_t>(head.size());
  file_.Write("\x93NUMPY\x01\x00", 8);
  file_.Write(&size, sizeof size);
  file_.Write(head.data(), head.size());
}

void NpyWriter::Append(std::span<const float> values) {
  file_.Write(values.data(), values.size_bytes());
}

}  // namespace slm::eval
