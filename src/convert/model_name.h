// What the name of a model says: "Qwen/Qwen2.5-Coder-0.5B-Instruct" is Qwen2.5-Coder of 0.5B,
// finetuned to instructions, by Qwen. The rules are those of llama.cpp's converter
// (gguf-py/gguf/metadata.py), so that the same names come out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slm::convert {

// Empty parts are not known.
struct ModelName {
  std::string full, organization, basename, finetune, version, size_label;
};

// Nothing is known of names above 256 bytes. `parameters`: of the model, to tell its size from
// other numbers, e.g. a context length.
ModelName ParseModelName(const std::string& id, int64_t parameters);

// "smollm2-135M" -> "Smollm2 135M".
std::string TitleOf(std::string_view name);

// "135M", "1.2B": two digits at least.
std::string SizeLabel(int64_t parameters);

}  // namespace slm::convert
