// Sets <arch>.* of a GGUF file.
#pragma once

#include <string>
#include <string_view>

#include "format/gguf_writer.h"

namespace slm::convert {

class MetadataWriter {
 public:
  MetadataWriter(std::string_view arch, format::GgufWriter* writer)
      : prefix_(std::string(arch) + "."), writer_(writer) {}

  void Int(const std::string& key, int64_t value) {
    writer_->Set<uint32_t>(prefix_ + key, static_cast<uint32_t>(value));
  }
  void Float(const std::string& key, double value) {
    writer_->Set<float>(prefix_ + key, static_cast<float>(value));
  }
  void String(const std::string& key, std::string_view value) {
    writer_->SetString(prefix_ + key, value);
  }

 private:
  std::string prefix_;
  format::GgufWriter* writer_;
};

}  // namespace slm::convert
