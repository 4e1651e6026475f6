// A checkpoint of Hugging Face or Mistral to a GGUF file that llama.cpp, Ollama and slm run.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "format/tensor_stream.h"

namespace slm::convert {

// What the tensors become; compress::RecipeTargets chooses. `choose` sees them all, in the order in
// which they will be written.
struct GgufTarget {
  uint32_t file_type = 0;  // general.file_type, llama.cpp's numbers
  std::function<std::vector<format::TensorTarget>(std::span<const format::TensorSource>)> choose;
};

struct ConvertOptions {
  std::string folder, output;
  bool has_vocab = true;           // false: for a folder without a tokenizer
  bool allows_non_finite = false;  // NaN and infinity in weights
};

// Returns what the user should know, a sentence each. Throws Error: kBadInput and kUnsupported for
// what is wrong with the checkpoint (see OpenCheckpoint, ListTensors, ReadVocab), kUsage when the
// output is one of the files read, kFailed when the disk is full. The output appears under its name
// only when complete.
std::vector<std::string> ConvertToGguf(const ConvertOptions& options, const GgufTarget& target,
                                       ThreadPool* pool, Progress* progress);

}  // namespace slm::convert
