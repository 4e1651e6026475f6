// Writes GGUF version 3. Set the metadata and declare the tensors first, then append their data in
// the order of declaration, in pieces of any size: a model need not be in memory. A ResultFile: it
// appears under its name only when Finish has succeeded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result_file.h"
#include "format/gguf_header.h"

namespace slm::format {

class GgufWriter : public GgufHeader {
 public:
  // Throws kFailed when the temporary file cannot be created.
  explicit GgufWriter(const std::string& path, uint32_t alignment = kDefaultAlignment)
      : GgufHeader(path, alignment), file_(path) {}

  // The next bytes of the data, all of one tensor. The first call writes the header, after which
  // metadata and declarations are closed. Throws kFailed when the disk is full.
  void Append(std::span<const uint8_t> data);

  // Every declared tensor must be complete. Throws kFailed.
  void Finish();

 private:
  void WriteHeader();
  void Write(std::string_view bytes);
  void Pad();

  ResultFile file_;
  bool header_written_ = false;
  uint64_t file_bytes_ = 0;       // written so far
  size_t current_ = 0;            // the tensor whose data comes next
  uint64_t current_written_ = 0;  // of its data
};

}  // namespace slm::format
