// The way back: a GGUF file to a folder that transformers and vLLM load. Weights stream through a
// few megabytes, on all cores; rows that the converter permuted and norms that it added one to are
// as they were.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace slm {
class Progress;
}

namespace slm::convert {

struct HfExportOptions {
  std::string input;   // a GGUF file, the first part where there are several
  std::string folder;  // see OutputFolder
  // 32: float32. 16: bfloat16. 4: compressed-tensors, matrices of layers in 4 bits (pack4.h); where
  // all of those are carried over exactly so is the rest, in 16 bits or float32 as it takes, else
  // the rest is rounded to 16 bits. 0: 32 where the file has matrices in float32, else 16.
  int bits = 0;
  int64_t group_size = 32;                         // of 4 bits: 32 or 128
  bool allows_non_finite = false;                  // NaN and infinity in weights, but not in 4 bits
  int threads = 0;                                 // 0: those that computing should use
  Progress* progress = nullptr;                    // may be null
  std::function<void(const std::string&)> notice;  // what a user should know
};

struct HfExportResult {
  int bits = 0;
  int64_t tensors = 0;
  uint64_t bytes = 0;   // of weights
  int64_t exact = 0;    // of 4 bits: matrices carried over as they are
  int64_t rounded = 0;  // and rounded to the grid
};

// Throws Error: kUsage for options and folders, kBadInput and kUnsupported for what the file holds,
// kFailed for the disk.
HfExportResult ExportHf(const HfExportOptions& options);

}  // namespace slm::convert
