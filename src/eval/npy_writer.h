// Floats as a NumPy array (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html),
// for checks by other programs.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result_file.h"

namespace slm::eval {

class NpyWriter {
 public:
  // Throws as ResultFile does.
  NpyWriter(const std::string& path, std::span<const int64_t> shape);

  void Append(std::span<const float> values);  // in C order
  void Finish() { file_.Finish(); }

 private:
  ResultFile file_;
};

}  // namespace slm::eval
